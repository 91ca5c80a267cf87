"""Blu-WERP: refine web archives into training text, with a ledger that balances."""

__version__ = "0.1.0"
