"""The frame of every rule: measure signals once, decide from the stored columns.

A rule family is one file: a pydantic model whose fields are its thresholds (they come
from the recipe), `measure`, which turns a batch of documents into signal columns, and
`checks`, which says for which values of which column a document is dropped. Nothing
else of a rule exists, so a threshold can be changed without measuring again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from werp.signals.batch import TextBatch


class Check(NamedTuple):
    """One comparison: drop the document when `signal drop_if threshold` holds.

    key: the recipe key, e.g. `min_words`; the ledger names the rule
        `<family>.<version>.<key>`, e.g. `gopher_quality.v1.min_words`.
    signal: the column compared, e.g. `gopher_quality.words`.
    drop_if: `<`, `<=`, `>`, `>=` on numbers; `in`, `not_in` on strings against a tuple of
        strings; `set` drops when the column is not null (a match was found).
        A null number never drops.
    threshold: the number or strings compared with; None for `set`.
    """

    key: str
    signal: str
    drop_if: Literal["<", "<=", ">", ">=", "in", "not_in", "set"]
    threshold: float | tuple[str, ...] | None


class Rule(BaseModel):
    """Base of every rule family; a subclass adds `rule: Literal["name.v1"]` and thresholds.

    stage: the ledger's stage for documents this rule drops.
    text_stage: the text the signals are measured on (`extracted` = before any line edit).
    measures: whether it has signals at all; some stages of deduplication read text instead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: ClassVar[str] = "filter"
    text_stage: ClassVar[str] = "extracted"
    measures: ClassVar[bool] = True

    rule: str

    def measure_parameters(self) -> dict[str, Any]:
        """The fields that change what is measured (not what is decided): they enter the stage key."""
        return {}

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Signal columns of a batch, one value a document, each named `<family>.<signal>`."""
        raise NotImplementedError

    def checks(self) -> list[Check]:
        """The comparisons in the order in which they are applied; the first that holds drops."""
        raise NotImplementedError
