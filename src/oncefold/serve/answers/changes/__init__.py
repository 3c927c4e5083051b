"""Live changes: after each commit the nodes that changed, told to many subscribers as server-sent events."""
