"""AWS as far as Oncefold uses it: single-threaded, on virtual time, from one seed.

The clients take the calls of boto3's low-level clients, so that the functions run against them unchanged. What AWS
leaves open (order, delay, what a lost reply means) is drawn from the random source that is passed in; with none, it is
the plainest of what is possible. Where code shows what AWS does, its documentation is named.
"""
