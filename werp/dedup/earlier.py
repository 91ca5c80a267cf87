"""Earlier runs as an index: their tables as sources, and what this run changes for their documents.

A change is a row of the table `retractions`: a document that an earlier run kept and this one drops (it
names the new survivor), one it dropped that stays now, one with another survivor, or one whose removed
passages differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from werp.dedup.context import Source
from werp.errors import WerpError
from werp.finished import open_run
from werp.rundir import new_file
from werp.tables import KEPT, RETRACTIONS

if TYPE_CHECKING:
    from werp.recipe import Recipe

_AGREE = ("read", "extract", "prefilters", "segmenter", "rules", "dedup")


class EarlierRun:
    """A finished run directory whose documents take part in this run's deduplication."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        """Open it.

        Raises `WerpError` when it is no finished run, or was made by other rules than this recipe's: then the
        result could not be that of one run over everything.
        """
        run = open_run(folder, "--earlier")
        self.folder, self.key = folder.absolute(), str(run.manifest["key"])
        #: How many runs it was itself deduplicated against: those come before it.
        self.depth = len(run.manifest["earlier"])
        for key in _AGREE:
            if getattr(run.recipe, key) != getattr(recipe, key):
                raise WerpError(
                    f"--earlier {folder}: its recipe differs in `{key}`; refine it again with this recipe"
                    " (--from documents opens no archive)"
                )
        self.sources = [
            Source(unit.name, unit.records, unit.documents, unit.signals, earlier=True) for unit in run.tables
        ]
        self._tables = {unit.name: unit for unit in run.tables}
        self._retractions = run.manifest["files"].get("retractions", [])

    def verdicts(self, name: str) -> dict[str, dict[str, Any]]:
        """What the run said of the documents of one input: kept or not, survivor, removed passages, by id."""
        unit = self._tables[name]
        ledger = pq.read_table(unit.ledger, columns=["id", "outcome", "stage", "survivor_id"])
        said = {
            row["id"]: {"kept": row["outcome"] == KEPT, "survivor_id": row["survivor_id"], "removed": []}
            for row in ledger.to_pylist()
            if row["outcome"] == KEPT or row["stage"] == "dedup"
        }
        assert unit.dedup is not None  # its recipe's stages are this one's
        for row in pq.read_table(unit.dedup).to_pylist():
            if row["id"] in said and said[row["id"]]["kept"]:
                said[row["id"]]["removed"] += row["removed"] or []
        return said

    def retracted(self, name: str) -> Iterator[dict[str, Any]]:
        """What the run itself changed for documents of a still earlier run's input."""
        for file in self._retractions:
            table = pq.read_table(self.folder / "retractions" / file)
            yield from (row for row in table.to_pylist() if row["warc_file"] == name)


def open_earlier(folders: Sequence[Path], recipe: Recipe) -> list[EarlierRun]:
    """The runs in these folders, those first that others were deduplicated against."""
    return sorted((EarlierRun(folder, recipe) for folder in folders), key=lambda run: (run.depth, run.key))


def refuse_same_names(own: Sequence[str], earlier: Sequence[EarlierRun]) -> None:
    """Raise `WerpError` when two runs hold an input of one name: known before any work is done."""
    seen = dict.fromkeys(own, "this run")
    for run in earlier:
        for source in run.sources:
            if source.name in seen:
                raise WerpError(
                    f"--earlier {run.folder}: an input is named {source.name} in it and in"
                    f" {seen[source.name]}, so ids of their documents could not be told apart; list inputs"
                    " from a folder above (ids are made of names relative to it)"
                )
        seen |= dict.fromkeys((source.name for source in run.sources), str(run.folder))


def merged_sources(own: Sequence[Source], earlier: Sequence[EarlierRun]) -> list[Source]:
    """All input files in the order of their names, which is the order of one run over everything."""
    every = [*own, *(source for run in earlier for source in run.sources)]
    return sorted(every, key=lambda source: source.name)


def write_retractions(
    source: Source, runs: Sequence[EarlierRun], dedup: Path, target: Path, temporary: Path
) -> int:
    """Write how documents of an earlier run's input stand now, where that differs; returns how many do.

    runs: in their order, so that of two that retracted one document the later one's word counts.
    """
    owner = next(run for run in runs if source in run.sources)
    before = owner.verdicts(source.name)
    for run in runs:
        for row in run.retracted(source.name):
            before[row["id"]] = {
                "kept": row["kept"], "survivor_id": row["survivor_id"], "removed": row["removed"] or [],
            }  # fmt: skip
    now = _now(dedup)
    rows = []
    for name, was in before.items():
        found = now.get(name, _STAYS)
        is_now = {key: found[key] for key in ("kept", "survivor_id", "removed")}
        if is_now != was:
            rows.append(
                {"run": owner.key, "warc_file": source.name, "id": name, "was_kept": was["kept"], **found}
            )
    with new_file(target, temporary) as partial:
        pq.write_table(pa.Table.from_pylist(rows, RETRACTIONS), partial, compression="zstd")
    return len(rows)


_STAYS: Mapping[str, Any] = {
    "kept": True,
    "survivor_id": None,
    "removed": [],
    "rule": None,
    "similarity": None,
}


def _now(dedup: Path) -> dict[str, dict[str, Any]]:
    """The verdicts of a DEDUP table on documents that lose something, by id."""
    now: dict[str, dict[str, Any]] = {}
    for row in pq.read_table(dedup).to_pylist():
        said = now.setdefault(row["id"], dict(_STAYS, removed=[]))
        if row["dropped"] and said["kept"]:
            said.update(kept=False, survivor_id=row["survivor_id"], rule=row["rule"], removed=[])
            said["similarity"] = row["similarity"]
        elif said["kept"]:
            said["removed"] = said["removed"] + (row["removed"] or [])
    return now
