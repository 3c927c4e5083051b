"""A small exhaustive check of the AWS protocol: every state of small scenarios, with every fault; docs/MODEL.md.

`scenario` says what happens, `world` what it means, `folding` and `reducing` what may happen next, `claims` what must
hold, `explore` finds all states, `settling` whether everything comes to its end, `check` puts them together. The
protocol is a model; what it folds, nets and names it takes from the product's own pure code.
"""
