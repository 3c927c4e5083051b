"""The process that folds: it computes in processors and memory of its own, and the one that answers waits for neither.

server  --bodies, sockets-->  folding process  --commits, settled deliveries-->  server
"""
