"""Operating the service: who may ask what, limits of connections, request ids, logs, metrics, health.

`Operations(access, connections)` holds what one server keeps of itself. The server lists `operations.commits` among the
listeners of commits, tells `operations.health` when ingest begins, fails and ends, adds `operations.routes(gauges)` to
its routes, puts `operations.guarded(app)` around its whole application, gives uvicorn `connections.protocol` as its
`http`, and runs inside `logging_to(stream, form)`. A handler finds its request's id by `request_id_of(scope)`.
"""
