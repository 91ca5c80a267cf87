"""Rule `decontaminate.v1`: documents that hold items of the evaluation benchmarks (`werp.decontaminate`).

    - rule: decontaminate.v1
      action: cut       # drop the document, cut the item and 200 characters around it, or only report

Put it first among the rules that edit, so that all text is searched. The benchmarks are a folder of JSON
lines (`werp.decontaminate.items`): `benchmarks`, else $WERP_BENCHMARKS, else $WERP_DATA/benchmarks.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from werp.decontaminate.items import find_benchmarks, folder_hash, read_items
from werp.edits import Span
from werp.signals.base import Check, EditRule
from werp.signals.batch import TextBatch

_NAME = "decontaminate.v1"
_HITS = pa.list_(
    pa.struct(
        [("task", pa.string()), ("item", pa.string()), ("rule", pa.string()), ("start", pa.int64()),
         ("end", pa.int64())]
    )
)  # fmt: skip


class Decontaminate(EditRule):
    """Finds evaluation items and drops their documents, cuts them out, or says where they are.

    Signals: decontaminate.hits (task, item `split/id`, rule, characters [start, end) of the text searched),
    decontaminate.cuts (int64, places cut), and for each benchmark decontaminate.<task>, its first item found.
    The ledger names `decontaminate.v1.<task>`, so run.json counts documents by benchmark.
    """

    rule: Literal["decontaminate.v1"] = "decontaminate.v1"
    action: Literal["drop", "cut", "report"] = Field("drop", description="what is done with a hit")
    benchmarks: str | None = Field(None, description="folder of benchmarks, JSON lines")
    cut_characters: int = Field(200, ge=0, description="cut before and after an item")
    max_cuts: int = Field(10, ge=0, description="a document cut in more places is dropped")
    near: int = Field(50, ge=0, description="most tokens between question and gold answer")
    min_share: float = Field(0.5, gt=0, le=1, description="least share of a question's 8-grams")
    max_items_of_gram: int = Field(5, ge=1, description="an n-gram of more items is boilerplate")

    def check_benchmarks(self) -> None:
        """Read them; `WerpError` names a file or row that can't be searched for."""
        _tasks(self._folder())

    def edit_parameters(self) -> dict[str, Any]:
        """All that decides a cut; nothing where nothing is cut."""
        if self.action != "cut":
            return {}
        return {**self.measure_parameters(), "cut_characters": self.cut_characters}

    def measure_parameters(self) -> dict[str, Any]:
        """The benchmarks' bytes and how they are searched for."""
        kept = {"near", "min_share", "max_items_of_gram"}
        return {"benchmarks": _hash(self._folder()), **self.model_dump(include=kept)}

    def edits(self, batch: TextBatch) -> list[list[Span]]:
        """Each item found with `cut_characters` on both sides; a line end stands for it."""
        if self.action != "cut":
            return [[] for _ in batch.texts]
        around = self.cut_characters
        spans = []
        for text, hits in zip(batch.texts, self._find(batch), strict=True):
            places = [(max(0, hit.start - around), min(len(text), hit.end + around)) for hit in hits]
            spans.append([Span(a, b, f"{_NAME}.cut", "\n") for a, b in _joined(places)])
        return spans

    def measure_edits(
        self, before: TextBatch, spans: list[list[Span]], after: TextBatch
    ) -> dict[str, pa.Array]:
        """See the class."""
        found = self._find(before)
        columns = {
            "decontaminate.hits": pa.array([[hit._asdict() for hit in hits] for hits in found], _HITS),
            "decontaminate.cuts": pa.array([len(own) for own in spans], pa.int64()),
        }
        for task in _tasks(self._folder()):
            first = [next((hit.item for hit in hits if hit.task == task), None) for hits in found]
            columns[f"decontaminate.{task}"] = pa.array(first, pa.string())
        return columns

    def checks(self) -> list[Check]:
        """With `drop` a check a benchmark; with `cut` the number of places."""
        if self.action == "drop":
            return [_check(task) for task in _tasks(self._folder())]
        if self.action == "cut":
            return [Check("max_cuts", "decontaminate.cuts", ">", self.max_cuts)]
        return []

    def checks_on(self, columns: Collection[str]) -> list[Check]:
        """As `checks`, of the benchmarks that were searched for then, wherever they are now."""
        if self.action != "drop":
            return self.checks()
        tasks = {name.partition(".")[2] for name in columns if name.startswith("decontaminate.")}
        return [_check(task) for task in sorted(tasks - {"hits", "cuts", "emptied"})]

    def _folder(self) -> str:
        return str(find_benchmarks(self.benchmarks))

    def _find(self, batch: TextBatch) -> Any:
        if not batch.texts:
            return []
        # Imported at need: numba, and the index takes some seconds.
        from werp.decontaminate.find import find_items  # noqa: PLC0415
        from werp.decontaminate.index import index_of  # noqa: PLC0415

        return find_items(
            batch.texts, index_of(self._folder(), self.max_items_of_gram), self.near, self.min_share
        )


def _check(task: str) -> Check:
    return Check(task, f"decontaminate.{task}", "set", None)


@functools.lru_cache(maxsize=2)
def _tasks(folder: str) -> tuple[str, ...]:
    return tuple(sorted({item.task for item in read_items(Path(folder))}))


@functools.lru_cache(maxsize=2)
def _hash(folder: str) -> str:
    return folder_hash(Path(folder))


def _joined(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Places in order, those that touch made one.

    >>> _joined([(0, 5), (3, 8), (10, 12)])
    [(0, 8), (10, 12)]
    """
    out: list[tuple[int, int]] = []
    for a, b in sorted(places):
        if out and a <= out[-1][1]:
            out[-1] = (out[-1][0], max(b, out[-1][1]))
        else:
            out.append((a, b))
    return out
