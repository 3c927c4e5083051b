"""The runtime of one machine and one store. Decoding, folding and committing overlap; commits are whole batches."""
