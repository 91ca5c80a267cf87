"""Stages of deduplication that read text and measure no signal: their recipe keys."""

from __future__ import annotations

from typing import ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from werp.signals.base import Check, Rule
from werp.signals.batch import TextBatch


class _Unmeasured(Rule):
    stage: ClassVar[str] = "dedup"
    measures: ClassVar[bool] = False

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Nothing: the text is read when the stage runs."""
        return {}

    def checks(self) -> list[Check]:
        """None: the decision needs the whole run."""
        return []


class OldBoth(_Unmeasured):
    """Paragraphs, and documents, most of whose n-grams stood in an earlier paragraph that stayed.

    DCLM's `old-both` (Li et al. 2024, arXiv 2406.11794, and its tool bff): paragraphs are lines; one with
    fewer than `ngram` words has no n-gram, stays, and counts nowhere. `dropped` documents are named
    `old_both.v1.document`, or `old_both.v1.empty` where every paragraph is gone.
    """

    rule: Literal["old_both.v1"] = "old_both.v1"
    ngram: int = Field(13, ge=1, le=100, description="words in an n-gram")
    threshold: float = Field(0.8, ge=0, le=1, description="removed when a larger share of n-grams was seen")
    mode: Literal["exact", "bloom"] = Field(
        "exact", description="exact: one order for the whole run; bloom: fixed memory, each shard for itself"
    )
    bloom_shards: int = Field(10, ge=1, description="parts of the run, by input name, that a filter serves")
    bloom_mb: int = Field(1024, ge=1, le=1 << 16, description="size of one shard's filter in MiB")
    bloom_max_error: float = Field(
        0.02, gt=0, lt=1, description="the run fails when a filter's false-positive rate would exceed this"
    )
    max_rounds: int = Field(50, ge=1, description="rounds in which decisions must settle, or the run fails")


class Substring(_Unmeasured):
    """Passages that occurred before, word for word; the first occurrence stays.

    ExactSubstr of Lee et al. 2022 (arXiv 2107.06499) without a suffix array: see `werp.dedup.substring`. A
    document of which nothing is left is dropped as `substring.v1.empty`.
    """

    rule: Literal["substring.v1"] = "substring.v1"
    min_tokens: int = Field(50, ge=8, le=10_000, description="words of the shortest passage that is cut")
