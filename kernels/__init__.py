"""Triton operators, one file per operator with its plain PyTorch reference beside it; none exists yet."""
