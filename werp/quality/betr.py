"""Benchmark-targeted ranking: documents ranked for each benchmark example, the best rank is the score.

BETR, arXiv 2507.12466: rank the sample by cosine similarity for each example, aggregate by the best rank over
all of them; the top tenth are the classifier's positives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from werp.errors import WerpError
from werp.quality.embed import Vectors
from werp.quality.rows import Row, files_of, item_text, json_lines, rank, read_source
from werp.quality.spec import Source

_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Targets:
    """Benchmark examples, equally many of each benchmark, and what was left out and why."""

    rows: list[Row]
    per_benchmark: int
    used: list[str]
    left_out: dict[str, str]


def read_targets(sources: Sequence[Source], fewest: int, seed: int) -> Targets:
    """Dev and train items of the benchmarks that have at least `fewest` of them; as many of each.

    An item whose text is also that of a validation or test item is not taken; `left_out` counts them. Raises
    `WerpError` for a source that names evaluation parts, and where no benchmark has enough rows.
    """
    by_task: dict[str, list[Row]] = {}
    left_out: dict[str, str] = {}
    for source in sources:
        if source.kind != "benchmark":
            raise WerpError(f"betr.targets: {source.path}: kind {source.kind}, expected benchmark")
        evaluation = {text for path in files_of(source) for text in _evaluation_texts(path)}
        for row in read_source(source):
            if row.text in evaluation:
                left_out[row.name] = "its text is also that of a validation or test item"
            else:
                by_task.setdefault(row.group, []).append(row)
    used = sorted(task for task, rows in by_task.items() if len(rows) >= fewest)
    for task in sorted(by_task.keys() - set(used)):
        left_out[task] = f"{len(by_task[task])} dev or train rows at hand, {fewest} needed"
    if not used:
        raise WerpError(f"betr.targets: no benchmark has {fewest} dev or train rows")
    count = min(len(by_task[task]) for task in used)
    rows = [row for task in used for row in sorted(by_task[task], key=lambda r: rank(r.name, seed))[:count]]
    return Targets(rows, count, used, left_out)


def best_ranks(documents: Vectors, targets: Vectors) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Of each document its best rank over all targets (1 is the nearest), and the first target that gave it.

    documents [N, d], targets [M, d]: unit vectors. Equal similarities rank in the order of rows.
    """
    best = np.full(len(documents), len(documents) + 1, np.int64)
    by = np.zeros(len(documents), np.int64)
    place = np.arange(1, len(documents) + 1)
    for first in range(0, len(targets), _ROWS_AT_ONCE):
        similarity = targets[first : first + _ROWS_AT_ONCE] @ documents.T
        for offset, row in enumerate(similarity):
            position = np.empty(len(documents), np.int64)
            position[np.argsort(-row, kind="stable")] = place
            better = position < best
            best[better] = position[better]
            by[better] = first + offset
    return best, by


def _evaluation_texts(path: Path) -> list[str]:
    return [item_text(item) for _, item in json_lines(path) if item.get("split") in ("validation", "test")]


def top_share(
    best: npt.NDArray[np.int64], nearest: npt.NDArray[np.float32], share: float
) -> npt.NDArray[np.bool_]:
    """The best `share` of documents by rank; of equal ranks, the higher similarity, then the earlier row."""
    order = np.lexsort((np.arange(len(best)), -nearest, best))
    top = np.zeros(len(best), bool)
    top[order[: max(1, round(share * len(best)))]] = True
    return top
