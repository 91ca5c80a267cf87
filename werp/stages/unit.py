"""The unit of work: one input file, and the names under which its results are stored."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from werp.inputs import InputFile
from werp.keys import hash_of, source_hash
from werp.recipe import Recipe
from werp.signals.base import EditRule
from werp.tables import SCHEMA_VERSION

#: The sources that a table follows from, beside the libraries in its key.
_DOCUMENT_SOURCES = (
    "read", "extract", "pages.py", "language.py", "lists.py", "signals/url.py", "signals/domain_list.py",
    "signals/list_lines.py", "tables.py", "clock.py",
    "stages/documents.py",
)  # fmt: skip
_EDIT_SOURCES = ("edits.py", "signals", "decontaminate")
_SIGNAL_SOURCES = (
    "signals", "clock.py", "edits.py", "lists.py", "language.py", "tables.py", "stages/signals.py",
    "quality/classifier.py", "decontaminate",
)  # fmt: skip


_NO_EDITS = "none"


@dataclass(frozen=True)
class Unit:
    """One input file of a run.

    index: its rank in the order of input names; with the offset it orders all records.
    documents, signals: file names, `<slug>-<key>.<sources>.parquet`, where the key covers the
        input's identity and the recipe's part, the second hash the package's sources. The key of
        `documents` ends in one of the line rules: `<extraction>-<edits>`.
    """

    index: int
    file: InputFile
    documents: str
    signals: str


def units_of(files: list[InputFile], recipe: Recipe, limit: int | None) -> list[Unit]:
    """The units of a run, in the order of input names."""
    extract: dict[str, Any] = {
        "read": recipe.read.model_dump(mode="json"),
        "extract": recipe.extract.model_dump(mode="json"),
        "extractors": [extractor.version for extractor in recipe.extract.extractors],
        "warcio": version("warcio"),
        "limit": limit,
        "page_seconds": recipe.page_seconds,
    }
    if recipe.prefilters:
        extract["prefilters"] = [prefilter.key_parameters() for prefilter in recipe.prefilters]
    edits = [_segmenter(recipe), *([rule.name, rule.edit_parameters()] for rule in recipe.edits())]
    edit_key = hash_of([edits, source_hash(*_EDIT_SOURCES)])[:8] if recipe.edits() else _NO_EDITS
    measured = _measured(recipe)
    document_sources = source_hash(*_DOCUMENT_SOURCES)[:8]
    signal_sources = source_hash(*_SIGNAL_SOURCES)[:8]
    units = []
    for index, file in enumerate(files):
        key = hash_of([file.name, file.identity, extract])
        signal_key = hash_of([key, document_sources, measured, SCHEMA_VERSION])
        slug = _slug(file.name)
        units.append(
            Unit(
                index,
                file,
                f"{slug}-{key[:12]}-{edit_key}.{document_sources}.parquet",
                f"{slug}-{signal_key[:12]}.{signal_sources}.parquet",
            )
        )
    return units


def _measured(recipe: Recipe) -> dict[str, object]:
    """What the signals follow from: the rules' parameters, and for each the edits that come before it."""
    measured: dict[str, object] = {"segmenter": _segmenter(recipe), "page_seconds": recipe.page_seconds}
    before: list[list[object]] = []
    for rule in recipe.measured():
        own = rule.measure_parameters()
        if isinstance(rule, EditRule):
            before = [*before, [rule.name, rule.edit_parameters()]]
        measured[rule.name] = [own, before] if before else own
    return measured


def _segmenter(recipe: Recipe) -> str | None:
    """The segmenter with its release, which its dictionaries follow."""
    return f"icu4py {version('icu4py')}" if recipe.segmenter == "icu" else None


def _slug(name: str) -> str:
    """A base name safe on any file system; the key beside it keeps it unique."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", Path(name).name)[:60].strip("._-") or "input"


def stored(name: str, folders: list[Path], *, any_sources: bool) -> Path | None:
    """A stored table of this name in one of the folders; `any_sources` accepts other package sources."""
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
        if any_sources:
            stem = name.rsplit(".", 2)[0]
            for path in sorted(folder.glob("*.parquet")):
                if path.name.rsplit(".", 2)[0] == stem:
                    return path
    return None


def edits_key(name: str) -> str:
    """The part of a documents file's name that says which line rules made it."""
    return name.rsplit(".", 2)[0].rpartition("-")[2]


def same_extraction(name: str, folders: list[Path], *, any_sources: bool) -> Path | None:
    """A stored documents table of the same extraction under other line rules, to derive this one from."""
    key, sources, _ = name.rsplit(".", 2)
    extraction = key.rpartition("-")[0]
    for folder in folders:
        pattern = f"{glob.escape(extraction)}-*.{'*' if any_sources else sources}.parquet"
        found = sorted(path for path in folder.glob(pattern) if path.name != name)
        if found:
            return found[0]
    return None
