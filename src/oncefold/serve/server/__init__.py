"""What runs in the server process: it holds connections, checks requests, answers, and starts the writer process."""
