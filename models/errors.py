"""Errors meant for the person at the terminal."""

from __future__ import annotations


class ModelError(Exception):
    """A mistake in what the user gave, or a training run that can't go on; its text is the whole message."""
