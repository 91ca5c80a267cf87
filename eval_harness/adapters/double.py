"""A model whose answers are known, for tests and for trying a task out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class Double:
    """Scores by a function of (context, continuation); a token is a word.

    asked: every (context, continuations) it was given, in order.
    """

    def __init__(self, log_p: Callable[[str, str], float], name: str = "double") -> None:
        self.log_p, self.name = log_p, name
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def score(self, context: str, continuations: Sequence[str]) -> list[float]:
        """What the function says of each continuation."""
        self.asked.append((context, tuple(continuations)))
        return [self.log_p(context, text) for text in continuations]

    def count(self, continuations: Sequence[str]) -> list[int]:
        """Words."""
        return [max(1, len(text.split())) for text in continuations]

    def about(self) -> dict[str, Any]:
        """Its name."""
        return {"name": self.name}
