"""The HTTP server below: how its requests become values, and responses bytes. Only here is it known which it is."""
