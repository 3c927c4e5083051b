"""What can be done about a stack: apply pending deltas, send rejects and failed batches again, work out its cost."""
