"""Live changes: after each commit the nodes that changed, sent to many subscribers as server-sent events."""
