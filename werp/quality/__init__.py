"""Quality classifiers: trained from a spec, proven on held-out sources, applied last in a run."""
