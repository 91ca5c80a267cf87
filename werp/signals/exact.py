"""Rule `exact.v1`: one survivor of each set of documents whose texts look the same."""

from __future__ import annotations

from typing import ClassVar, Literal

import pyarrow as pa
import xxhash
from pydantic import Field

from werp.signals.base import Check, Rule
from werp.signals.batch import TextBatch


class Exact(Rule):
    """Signal `exact.hash`: 128-bit xxh3 of what a reader sees of the text, as hex; null for blank text.

    Copies that a reader cannot tell apart have one hash: case, white space, invisible characters, widths,
    ligatures, and forms of quotation marks and dashes do not count (`werp.signals.looks`).

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
        # Imported at need, for numba's sake: a recipe is read where nothing is measured.
        from werp.signals.looks import looks  # noqa: PLC0415

        hashes = [xxhash.xxh3_128_hexdigest(seen) if seen else None for seen in looks(batch.texts)]
        lengths = [len(text) for text in batch.texts]
        return {"exact.hash": pa.array(hashes, pa.string()), "exact.chars": pa.array(lengths, pa.int64())}

    def checks(self) -> list[Check]:
        """None: the decision needs the whole run."""
        return []
