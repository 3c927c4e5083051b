"""`oncefold.once` under the search: a function that counts by each of the three ways, unchanged, in a world."""
