"""Events over HTTP: bodies to blocks, one thread that folds them, one commit for all that wait, an answer to each."""
