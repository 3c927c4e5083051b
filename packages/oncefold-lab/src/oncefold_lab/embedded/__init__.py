"""The fault search of the embedded engine: whole sessions on a simulated disk that fails, driven by a seed."""
