"""The pipelines of the AWS workshop that Oncefold grew out of, written from their description; docs/WORKSHOP.md.

`functions` has StateLambda, MapLambda and ReduceLambda, which take their client, clock and random source; `handlers`
has their forms (as handed out, after the workshop's fixes, of the blog posts, stateless) and what Lambda calls.
`generator` is the function that sends the messages and scores. Nothing here imports the product: the standard library
and boto3 are enough.
"""
