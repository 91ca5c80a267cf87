"""Rule `exact.v1`: one survivor of each set of documents with the same normalised text."""

from __future__ import annotations

import unicodedata
from typing import ClassVar, Literal

import pyarrow as pa
import xxhash
from pydantic import Field

from werp.signals.base import Check, Rule
from werp.signals.batch import TextBatch


class Exact(Rule):
    """Signal `exact.hash`: 128-bit xxh3 of the normalised text, as hex; null for blank text.

    The survivor is decided across the whole run by `werp.dedup.exact`, so there are no checks.
    """

    stage: ClassVar[str] = "dedup"

    rule: Literal["exact.v1"] = "exact.v1"
    survivor: Literal["first", "newest", "longest", "best"] = Field(
        "first",
        description="first by (file, offset), newest date, longest text, best `score`; of equals the first",
    )
    score: str = Field("language.score", description="the signal that `best` compares; higher is better")

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Hash each text; its length in characters settles `longest`."""
        hashes = [
            xxhash.xxh3_128_hexdigest(normal.encode("utf-8", "replace")) if normal else None
            for normal in map(normalise, batch.texts)
        ]
        lengths = [len(text) for text in batch.texts]
        return {"exact.hash": pa.array(hashes, pa.string()), "exact.chars": pa.array(lengths, pa.int64())}

    def checks(self) -> list[Check]:
        """None: the decision needs the whole run."""
        return []


def normalise(text: str) -> str:
    """Unicode NFC, lower case, every run of white space one space, none at the ends.

    >>> normalise("  A\\u0301 \\n b")
    'á b'
    """
    return " ".join(unicodedata.normalize("NFC", text).lower().split())
