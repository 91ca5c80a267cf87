"""Text to tokens, each piece of text encoded once.

A request's tokens are those of context and continuation encoded *together*, cut after as many as the
context has alone. Doing that for every request would encode a five-shot prompt four or five
times an item. Instead the pieces are encoded apart, and each kind of seam between two pieces is checked
once: does the whole give the same tokens? Tokenizers with a pre-tokenizer decide that on the characters
around the seam, so a seam's kind is the four characters before it and the four after, and it is tried on
the pieces' ends alone. Where the answer is no, the whole is encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

REACH = 4
ENDS = 16
Encode = Callable[[Sequence[str]], list[list[int]]]


@dataclass
class Encoder:
    """Encodes pieces and joins them; `joint` counts the wholes that had to be encoded."""

    encode: Encode
    joint: int = 0
    _safe: dict[tuple[str, str], bool] = field(default_factory=dict)
    _known: dict[str, list[int]] = field(default_factory=dict)

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text; equal texts are encoded once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self.encode(new), strict=True))
        return [self._known[text] for text in texts]

    def safe(self, lefts: Sequence[str], rights: Sequence[str]) -> list[bool]:
        """For each pair whether left + right has the tokens of left, then those of right."""
        kinds = [(left[-REACH:], right[:REACH]) for left, right in zip(lefts, rights, strict=True)]
        unknown: dict[tuple[str, str], tuple[str, str]] = {}
        for kind, left, right in zip(kinds, lefts, rights, strict=True):
            if kind not in self._safe:
                unknown.setdefault(kind, (left[-ENDS:], right[:ENDS]))
        self.joint += len(unknown)
        texts = [text for left, right in unknown.values() for text in (left, right, left + right)]
        tokens = iter(self.encode(texts))
        for kind in unknown:
            self._safe[kind] = next(tokens) + next(tokens) == next(tokens)
        return [self._safe[kind] for kind in kinds]

    def join(self, triples: Sequence[tuple[str, str, str]]) -> list[tuple[list[int], int]]:
        """For each (stem, item, tail) the tokens of the whole, and how many come before the tail's."""
        stems, items, tails = (list(part) for part in zip(*triples, strict=True))
        good = [x and y for x, y in zip(self.safe(stems, items), self.safe(items, tails), strict=True)]
        bad = [stems[i] + items[i] for i, fine in enumerate(good) if not fine]
        self.joint += 2 * len(bad)
        heads = iter(self.encode(bad))
        wholes = iter(
            self.encode([stems[i] + items[i] + tails[i] for i, fine in enumerate(good) if not fine])
        )
        a, b, c = self.pieces(stems), self.pieces(items), self.pieces(tails)
        joined: list[tuple[list[int], int]] = []
        for i, fine in enumerate(good):
            if fine:
                joined.append((a[i] + b[i] + c[i], len(a[i]) + len(b[i])))
            else:
                whole, head = next(wholes), next(heads)
                # A tail that merged into the context whole keeps one token: the last; one dropped has none.
                joined.append((whole, len(whole) if whole == head else min(len(head), len(whole) - 1)))
        return joined
