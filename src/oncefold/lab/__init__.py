"""The lab: a simulator of AWS, and what is tried out in it. The product imports none of it."""
