"""The stages of a run, each a plain function from one input file's tables to the next."""
