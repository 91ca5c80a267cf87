"""Earlier runs as an index: their tables as sources, and what this run changes for their documents.

A change is a row of the table `retractions`: a document that an earlier run kept and this one drops (it
names the new survivor), one it dropped that stays now, one with another survivor, or one whose removed
passages differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from werp.dedup.context import Source
from werp.errors import WerpError
from werp.rundir import new_file
from werp.tables import KEPT, RETRACTIONS

if TYPE_CHECKING:
    from werp.recipe import Recipe

_AGREE = ("read", "extract", "prefilters", "segmenter", "rules", "dedup")


class EarlierRun:
    """A finished run directory whose documents take part in this run's deduplication."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        """Read its manifest.

        Raises `WerpError` when it is no finished run, or was made by other rules than this recipe's: then the
        result could not be that of one run over everything.
        """
        self.folder = folder
        try:
            self.manifest: dict[str, Any] = json.loads((folder / "run.json").read_text("utf-8"))
            theirs, files = self.manifest["recipe"], self.manifest["files"]
            self.key: str = self.manifest["key"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WerpError(f"--earlier {folder}: no finished run (run.json: {error})") from error
        own = recipe.model_dump(mode="json")
        for key in _AGREE:
            if theirs.get(key) != own[key]:
                raise WerpError(
                    f"--earlier {folder}: its recipe differs in `{key}`; refine it again with this recipe"
                    " (--from documents opens no archive)"
                )
        names = [entry["name"] for entry in self.manifest["inputs"]]
        self.sources = [
            Source(name, folder / "records" / records, folder / "documents" / documents,
                   folder / "signals" / signals, earlier=True)
            for name, records, documents, signals in zip(
                names, files["records"], files["documents"], files["signals"], strict=True
            )
        ]  # fmt: skip
        self._ledgers = dict(zip(names, files["ledger"], strict=True))
        self._dedups = dict(zip(names, files["dedup"], strict=True))
        self._retractions = files.get("retractions", [])

    def verdicts(self, name: str) -> dict[str, dict[str, Any]]:
        """What the run said of the documents of one input: kept or not, survivor, removed passages, by id."""
        ledger = pq.read_table(
            self.folder / "ledger" / self._ledgers[name], columns=["id", "outcome", "stage", "survivor_id"]
        )
        said = {
            row["id"]: {"kept": row["outcome"] == KEPT, "survivor_id": row["survivor_id"], "removed": []}
            for row in ledger.to_pylist()
            if row["outcome"] == KEPT or row["stage"] == "dedup"
        }
        for row in pq.read_table(self.folder / "dedup" / self._dedups[name]).to_pylist():
            if row["id"] in said and said[row["id"]]["kept"]:
                said[row["id"]]["removed"] += row["removed"] or []
        return said

    def retracted(self, name: str) -> Iterator[dict[str, Any]]:
        """What the run itself changed for documents of a still earlier run's input."""
        for file in self._retractions:
            table = pq.read_table(self.folder / "retractions" / file)
            yield from (row for row in table.to_pylist() if row["warc_file"] == name)


def merged_sources(own: Sequence[Source], earlier: Sequence[EarlierRun]) -> list[Source]:
    """All input files in the order of their names, which is the order of one run over everything.

    Raises `WerpError` when two runs hold an input of one name.
    """
    every = [*own, *(source for run in earlier for source in run.sources)]
    every.sort(key=lambda source: source.name)
    for a, b in pairwise(every):
        if a.name == b.name:
            raise WerpError(
                f"--earlier: an input is named {a.name} in two runs, so ids of their documents could not be"
                " told apart; list the inputs from a folder above (ids are made of names relative to it)"
            )
    return every


def write_retractions(
    source: Source, runs: Sequence[EarlierRun], dedup: Path, target: Path, temporary: Path
) -> int:
    """Write how documents of an earlier run's input stand now, where that differs; returns how many do."""
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
