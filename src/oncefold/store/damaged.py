"""What is raised where something read from a store is not what was written."""


class DamagedError(Exception):
    """Says what is wrong; whoever knows the file makes it a StoreError."""
