"""The embedded runtime: one machine, one file. Decoding, folding and committing overlap; commits are whole batches."""
