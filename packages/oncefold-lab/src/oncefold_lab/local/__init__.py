"""The deployed pipeline on one machine, without an account: an emulator, AWS's own Lambda runtime client, a driver."""
