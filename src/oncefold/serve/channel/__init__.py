"""What passes between the server process and the writer process."""
