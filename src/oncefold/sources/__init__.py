"""From the arguments of a run to blocks of whole records, each with the position after it. Nothing is decoded here."""
