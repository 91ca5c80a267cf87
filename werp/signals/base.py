"""The frame of every rule: measure signals once, decide from the stored columns.

A rule family is one file: a pydantic model whose fields are its thresholds (they come
from the recipe), `measure`, which turns a batch of documents into signal columns, and
`checks`, which says for which values of which column a document is dropped. Nothing
else of a rule exists, so a threshold can be changed without measuring again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from werp.edits import Span
from werp.errors import nearest

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
    measures: whether it has signals at all; some stages of deduplication read text instead.

    The rules of a recipe are an ordered list: one that stands after an `EditRule` measures the edited text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: ClassVar[str] = "filter"
    measures: ClassVar[bool] = True

    rule: str

    @property
    def name(self) -> str:
        """The rule's name in the ledger, `<family>.<version>`."""
        return self.rule

    @property
    def family(self) -> str:
        """What `--set` and the signal columns call the rule."""
        return self.name.partition(".")[0]

    @property
    def calls_own_functions(self) -> bool:
        """Whether it measures by a function of the user's, which is shown the crawl's pages and no others."""
        return False

    def measure_parameters(self) -> dict[str, Any]:
        """The fields that change what is measured (not what is decided): they enter the stage key."""
        return {}

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Signal columns of a batch, one value a document, each named `<family>.<signal>`."""
        raise NotImplementedError

    def checks(self) -> list[Check]:
        """The comparisons in the order in which they are applied; the first that holds drops."""
        raise NotImplementedError

    def checks_on(self, columns: Collection[str]) -> list[Check]:
        """The comparisons that decided a finished run, whose stored signals have these columns."""
        return self.checks()

    def emptied(self) -> list[Check]:
        """The comparison that drops a document of which the rule's edits leave nothing; before `checks`."""
        return []

    def for_language(self, label: str | None) -> Rule:
        """The rule with the thresholds it has for a document of this language."""
        return self

    @property
    def languages_tuned(self) -> tuple[str, ...]:
        """The labels for which `for_language` gives other thresholds."""
        return ()


class EditRule(Rule):
    """A rule that takes characters out of a text: whole lines, phrases, addresses.

    Its `edits` are spans, never a new text, so that the text before and after is there (`werp.edits`).
    A document of which they leave nothing but white space is dropped as `<family>.<version>.emptied`; the
    signal is `<family>.emptied` (int64): the characters there were before, null where text is left.
    """

    def edit_parameters(self) -> dict[str, Any]:
        """The fields that change the edits: they enter the key of the documents table."""
        raise NotImplementedError

    def measure_parameters(self) -> dict[str, Any]:
        """The edits' parameters: what is measured follows from what was taken out."""
        return self.edit_parameters()

    def edits(self, batch: TextBatch) -> list[list[Span]]:
        """For each text its spans, disjoint, in any order, in characters of the batch's texts."""
        return [self.edits_of(text) for text in batch.texts]

    def edits_of(self, text: str) -> list[Span]:
        """One text's spans, for the rules that need nothing of the batch."""
        raise NotImplementedError

    def measure_edits(
        self, before: TextBatch, spans: list[list[Span]], after: TextBatch
    ) -> dict[str, pa.Array]:
        """Signal columns, from the texts before, what was taken out of them, and the texts after."""
        raise NotImplementedError

    def emptied(self) -> list[Check]:
        """See the class."""
        return [Check("emptied", f"{self.family}.emptied", "set", None)]


class LanguageTuned(Rule):
    """Base of the rules whose fields may differ by language, as FineWeb2's do.

    A document's language is the label of `language.v1`, which such a recipe must list. Fields of `untuned`
    change what is measured and are one for all languages.
    """

    untuned: ClassVar[frozenset[str]] = frozenset()

    per_language: dict[str, dict[str, Any]] = Field(
        {}, description="label: {key: value}; the keys are this rule's own, the others keep their value"
    )

    @model_validator(mode="after")
    def _tuned_fields_are_valid(self) -> Self:
        known = set(type(self).model_fields) - {"rule", "per_language"} - self.untuned
        for label, fields in self.per_language.items():
            for key in set(fields) - known:
                raise ValueError(f"per_language.{label}: unknown key {key}{nearest(key, known)}")
            self._tuned(label)
        return self

    def for_language(self, label: str | None) -> Self:
        """The rule with this language's fields."""
        return self._tuned(label) if label in self.per_language else self

    @property
    def languages_tuned(self) -> tuple[str, ...]:
        """The labels of `per_language`."""
        return tuple(self.per_language)

    def _tuned(self, label: str | None) -> Self:
        own = self.model_dump(exclude={"per_language"}) | self.per_language[label or ""]
        return type(self).model_validate(own)
