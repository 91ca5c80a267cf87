"""What `run.json` says of a run: counts, outcomes, content hash, costs, inputs, versions, files."""

from __future__ import annotations

import datetime
import sys
from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from werp import __version__
from werp.errors import WerpError
from werp.keys import source_hash
from werp.recipe import Recipe
from werp.stages.documents import Meta
from werp.stages.verdicts import Verdicts
from werp.tables import DROPPED, FAILED, KEPT, SCHEMA_VERSION

if TYPE_CHECKING:
    from werp.refine import Plan


def manifest_of(
    plan: Plan,
    metas: list[tuple[Meta, float]],
    verdicts: list[Verdicts],
    shards: list[str],
    dedup: dict[str, Any],
    settled: dict[str, Any],
    timings: dict[str, float],
) -> dict[str, Any]:
    """The content of run.json. Raises `WerpError` when the shards hold other than what the ledger keeps.

    dedup, settled: the figures of deduplication and the cuts of quality; timings: seconds by stage.
    """
    records, outcomes = _counted(metas, verdicts)
    _check_shards(plan, shards, records[KEPT])
    pages = sum(meta.pages for meta, _ in metas)
    return {
        "schema_version": SCHEMA_VERSION,
        "key": plan.run.run_key,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "records": records,
        "outcomes": outcomes,
        "content_hash": f"{sum(int(verdict.content_sum) for verdict in verdicts) % (1 << 128):032x}",
        "pages": pages,
        "documents": sum(meta.documents for meta, _ in metas),
        "kept_text_bytes": sum(verdict.kept_bytes for verdict in verdicts),
        "casualties": dict(sorted(sum((Counter(meta.casualties) for meta, _ in metas), Counter()).items())),
        "lists": plan.lists,
        "quality": settled,
        "contamination": _contamination(verdicts),
        "dedup": {name: figure for name, figure in dedup.items() if name != "retraction_files"},
        "earlier": [run.key for run in plan.earlier],
        "earlier_folders": [str(run.folder) for run in plan.earlier],
        "timings": {name: round(seconds, 3) for name, seconds in timings.items()},
        "task_seconds": _task_seconds(metas),
        "pages_per_second": round(pages / max(timings["total"], 1e-9), 3),
        "peak_rss_mb": {
            "worker": plan.peak_rss_mb,
            "extraction": max((meta.extract_peak_rss_mb for meta, _ in metas), default=0.0),
        },
        "recipe": plan.recipe.model_dump(mode="json"),
        "limit": plan.options.limit,
        "inputs": [
            {
                "name": unit.file.name,
                "size": unit.file.size,
                "identity": unit.file.identity,
                "records": meta.records,
            }
            for unit, (meta, _) in zip(plan.units, metas, strict=True)
        ],
        "versions": _versions(plan.recipe),
        "files": _files(plan, shards, dedup),
    }


def _counted(
    metas: list[tuple[Meta, float]], verdicts: list[Verdicts]
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Records read, kept, dropped and failed; and the count of each outcome, stage and rule."""
    outcomes: Counter[tuple[str, str, str]] = Counter()
    for verdict in verdicts:
        for key, count in verdict.outcomes.items():
            outcome, stage, rule = key.split("\t")
            outcomes[outcome, stage, rule] += count
    totals = {
        name: sum(n for key, n in outcomes.items() if key[0] == name) for name in (KEPT, DROPPED, FAILED)
    }
    rows = [
        {"outcome": outcome, "stage": stage or None, "rule": rule or None, "count": count}
        for (outcome, stage, rule), count in sorted(outcomes.items())
    ]
    return {"in": sum(meta.records for meta, _ in metas), **totals}, rows


def _check_shards(plan: Plan, shards: list[str], kept: int) -> None:
    """Rule: what the ledger calls kept is in the shards. Arrow files tell their rows only when read whole."""
    if plan.recipe.shards.format != "parquet":
        return
    rows = sum(pq.read_metadata(plan.run.staged("shards") / name).num_rows for name in shards)
    if rows != kept:
        raise WerpError(f"{rows} rows in shards for {kept} kept records; nothing was committed")


def _task_seconds(metas: list[tuple[Meta, float]]) -> dict[str, float]:
    """Seconds over all tasks by what they were spent on."""
    seconds = {
        "read": sum(meta.read_seconds for meta, _ in metas),
        "extract": sum(meta.extract_seconds for meta, _ in metas),
        "measure": sum(measuring for _, measuring in metas),
    }
    return {name: round(value, 3) for name, value in seconds.items()}


def _files(plan: Plan, shards: list[str], dedup: dict[str, Any]) -> dict[str, list[str]]:
    """The files of each table, in the order of the inputs."""
    documents = [unit.documents for unit in plan.units]
    return {
        "records": documents,
        "documents": documents,
        "signals": [unit.signals for unit in plan.units],
        "dedup": documents if plan.recipe.dedup else [],
        "ledger": documents,
        "retractions": dedup.get("retraction_files", []),
        "shards": shards,
    }


def _contamination(verdicts: list[Verdicts]) -> dict[str, dict[str, int]]:
    """Documents with items of a benchmark, over all units."""
    total: dict[str, dict[str, int]] = {}
    for verdict in verdicts:
        for task, (documents, kept) in verdict.contamination.items():
            counts = total.setdefault(task, {"documents": 0, "kept": 0})
            counts["documents"] += documents
            counts["kept"] += kept
    return dict(sorted(total.items()))


def _versions(recipe: Recipe) -> dict[str, str]:
    names = ["pyspark", "pyarrow", "warcio", "numba", "fasttext-wheel"]
    return {
        "blu-werp": __version__,
        "sources": source_hash(),
        "python": sys.version.split()[0],
        **{name: version(name) for name in names},
        **{extractor.name: extractor.version for extractor in recipe.extract.extractors},
    }
