"""The pipeline of the AWS workshop that Oncefold grew out of, written from its description; docs/WORKSHOP.md.

`before` and `after` are its two forms, before and after the workshop's fixes, each with a StateLambda, a MapLambda and
a ReduceLambda that take their client, clock and random source. `handlers` is what Lambda calls. Nothing here imports
the product: the standard library and boto3 are enough.
"""
