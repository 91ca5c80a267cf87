"""Errors meant for the person at the terminal."""

from __future__ import annotations


class EvalError(Exception):
    """A mistake in what the user gave, or data that can't be had; its text is the whole message."""
