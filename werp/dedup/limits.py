"""What a run's deduplication may do without a person being asked: the recipe's keys of the seat-belt."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """The recipe's `dedup_limits` section: what a run's deduplication may do without being asked about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_source_loss: float = Field(
        0.9, ge=0, le=1, description="largest share of a source's documents; a source is an input's folder"
    )
    min_documents: int = Field(100, ge=1, description="smaller sources are not judged by their loss")
    max_cluster: int = Field(50_000, ge=2, description="documents in the largest cluster")
