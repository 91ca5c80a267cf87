"""Rule `minhash.v1`: documents with nearly the same shingles, by MinHash signatures cut into bands.

Two texts of Jaccard similarity s share a band of r rows with probability s**r, and any of b bands with
1 - (1 - s**r)**b (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from werp.signals.base import Check, Rule
from werp.signals.batch import TextBatch

#: FineWeb: Penedo et al. 2024, as datatrove's example has it; DCLM: Li et al. 2024, its MinHash ablation;
#: Dolma 3: its bands, on words here where it takes p50k tokens; text_dedup: its defaults, 250 permutations
#: at a threshold of 0.7.
PRESETS: dict[str, dict[str, Any]] = {
    "fineweb": {"bands": 14, "rows": 8, "scheme": "affine64", "fold": "fineweb"},
    "dclm": {"bands": 93, "rows": 15, "scheme": "affine64", "fold": "fineweb"},
    "dolma3": {"bands": 26, "rows": 11, "scheme": "affine64", "fold": "fineweb", "verify": 0.8},
    "text_dedup": {"bands": 25, "rows": 10, "scheme": "affine64", "fold": "lower"},
}


class MinHash(Rule):
    """Signal `minhash.signature`: bands x rows minima, little-endian, null for a text without a word.

    Clusters are found across the whole run by `werp.dedup.minhash`, so there are no checks.
    """

    stage: ClassVar[str] = "dedup"

    rule: Literal["minhash.v1"] = "minhash.v1"
    preset: Literal["fineweb", "dclm", "dolma3", "text_dedup"] | None = Field(
        None, description="settings of a known recipe, for the keys that are not given"
    )
    shingle: Literal["word", "character"] = Field("word", description="what a shingle is made of")
    shingle_size: int = Field(5, ge=1, le=100, description="words or characters in a shingle")
    fold: Literal["none", "lower", "fineweb"] = Field(
        "fineweb",
        description="how words are made alike: not; lower case and looks; that, digits as 0, no marks",
    )
    bands: int = Field(14, ge=1, le=512, description="bands, one of which two documents must share")
    rows: int = Field(8, ge=1, le=128, description="minima in a band")
    scheme: Literal["affine32", "affine64"] = Field("affine64", description="datasketch's permutation scheme")
    seed: int = Field(1, ge=0, le=2**32 - 1, description="seed of the permutations")
    verify: float | None = Field(
        None, gt=0, le=1,
        description="link two documents of a band only if their true Jaccard similarity is at least this",
    )  # fmt: skip
    survivor: Literal["first", "newest", "longest", "best"] = Field(
        "first",
        description="first by (file, offset), newest date, longest text, best `score`; of equals the first",
    )
    score: str = Field("language.score", description="the signal that `best` compares; higher is better")
    max_rounds: int = Field(50, ge=1, description="rounds in which clusters must settle, or the run fails")

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("preset") in PRESETS:
            return {**PRESETS[values["preset"]], **values}
        return values

    @property
    def permutations(self) -> int:
        """Minima in a signature."""
        return self.bands * self.rows

    def measure_parameters(self) -> dict[str, Any]:
        """All that a signature follows from; its cut into bands does not matter, only its length."""
        names = ("shingle", "shingle_size", "fold", "scheme", "seed")
        return {**{name: getattr(self, name) for name in names}, "permutations": self.permutations}

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Sign each text."""
        # Imported at need, for numba's sake: a recipe is read where nothing is measured.
        from werp.signals.shingles import shingles, signatures  # noqa: PLC0415

        hashes, firsts = shingles(batch, self.shingle_size, self.shingle, self.fold)
        made = signatures(hashes, firsts, self.scheme, self.permutations, self.seed)
        width = self.permutations * made.dtype.itemsize
        blank = np.packbits(np.diff(firsts) > 0, bitorder="little").tobytes()
        buffers = [pa.py_buffer(blank), pa.py_buffer(made.astype(made.dtype.newbyteorder("<")).tobytes())]
        return {"minhash.signature": pa.Array.from_buffers(pa.binary(width), len(batch), buffers)}

    def checks(self) -> list[Check]:
        """None: the decision needs the whole run."""
        return []

    def signature_matrix(self, column: pa.ChunkedArray) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """A stored signal as (minima [documents, permutations], whether a document has a signature)."""
        kind = np.dtype("<u4" if self.scheme == "affine32" else "<u8")
        width = self.permutations * kind.itemsize
        if column.type != pa.binary(width):
            raise ValueError(f"minhash.signature: {column.type}, the recipe's are of {width} bytes")
        parts = [np.zeros((0, self.permutations), kind)]
        for chunk in column.chunks:
            data = np.frombuffer(chunk.buffers()[1], np.uint8)[chunk.offset * width :][: len(chunk) * width]
            parts.append(data.view(kind).reshape(len(chunk), self.permutations))
        return np.concatenate(parts), np.asarray(column.is_valid(), dtype=bool)
