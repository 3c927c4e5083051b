"""A small exhaustive check of the AWS protocol: every state of small scenarios, with every fault; docs/MODEL.md.

`scenario` has the events and rules, `encoding` their values as integers, `state_function` and `reduce_function` the
possible steps, and in economy mode `direct_function` and `net_function`; `protocol` has the claims; `explore` visits
all states. The protocol is a model; what it folds, nets and names it takes from the product's own pure code.
"""
