"""Layers beside the dense baseline's, one a file."""
