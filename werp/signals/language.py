"""Rule `language.v1`: keep the languages named, where the model is sure enough.

fastText lid.176 at 0.65 is what DCLM and FineWeb use (their configurations); the Blu-WERP
paper's own model and threshold are not known, so this is a stand-in.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from werp.language import find_model
from werp.signals.base import Check, LanguageTuned
from werp.signals.batch import TextBatch


class Language(LanguageTuned):
    """Signals `language.label` (ISO code) and `language.score` (probability, 0-1), null for blank text."""

    stage: ClassVar[str] = "language"
    untuned: ClassVar[frozenset[str]] = frozenset({"languages", "model"})

    rule: Literal["language.v1"] = "language.v1"
    languages: tuple[str, ...] | None = Field(("en",), description="labels kept; null keeps every language")
    min_score: float = Field(0.65, ge=0, le=1, description="least probability of the label")
    model: str | None = Field(None, description="path of a fastText model; default lid.176")

    def measure_parameters(self) -> dict[str, Any]:
        """The model's hash: another model gives other scores."""
        return {"model": hashlib.sha256(Path(find_model(self.model)).read_bytes()).hexdigest()}

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Identify each text as a whole."""
        found = batch.languages(self.model)
        return {
            "language.label": pa.array([label for label, _ in found], pa.string()),
            "language.score": pa.array([score for _, score in found], pa.float64()),
        }

    def checks(self) -> list[Check]:
        """Label first, then score."""
        checks = [Check("min_score", "language.score", "<", self.min_score)]
        if self.languages is not None:
            checks.insert(0, Check("languages", "language.label", "not_in", self.languages))
        return checks
