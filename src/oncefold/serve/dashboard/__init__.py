"""The dashboard: one page of static files, which asks the server's own questions and follows its changes."""
