"""Rule `truncated.v1`: pages that their crawler cut short, as their archive says (`WARC-Truncated`)."""

from __future__ import annotations

from typing import Literal

import pyarrow as pa
from pydantic import Field

from werp.signals.base import Check, Rule
from werp.signals.batch import TextBatch


class Truncated(Rule):
    """Signal `truncated.reason`: the archive's word for why the page ends early, null where it is whole.

    Common Crawl cuts at a length: such a page's text ends in the middle. With `drop: []` the rule only
    measures, so that `werp what-if` can tell what dropping them would cost. Source: ISO 28500.
    """

    rule: Literal["truncated.v1"] = "truncated.v1"
    drop: tuple[str, ...] = Field(
        ("length", "time", "disconnect", "unspecified"), description="reasons for which a page is dropped"
    )

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """What the records say."""
        reasons = batch.truncated if batch.truncated is not None else [None] * len(batch)
        return {"truncated.reason": pa.array(reasons, pa.string())}

    def checks(self) -> list[Check]:
        """The one check, unless no reason counts."""
        return [Check("drop", "truncated.reason", "in", self.drop)] if self.drop else []
