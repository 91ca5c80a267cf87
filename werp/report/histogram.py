"""Histograms of the signals that a recipe compares, each with its threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.finished import FinishedRun, signal_names
from werp.signals.base import Check

BINS = 48
#: Bins are laid by the values of the first documents, as many as this at least.
_LOOKED_AT = 100_000
#: A count that reaches so far is shown on a logarithmic axis.
_LONG = 40
#: With more zeros than this share, they are told in words.
_MANY_ZEROS = 0.3
_SIGNS = ("<", "<=", ">", ">=")


class Histogram:
    """The values of one signal over all documents, by what became of them.

    counts (int64, [3, bins]): kept, dropped by this check, dropped by another. Values beyond the first or the
    last edge are counted in the bin there. edges (float64, [bins + 1]) grow by a factor where `log`.
    zeros (int64, [3]): documents at exactly 0, left out of the bins where most lie there, as they do at
    ratios of what most pages don't have; they would flatten all the rest.
    """

    def __init__(self, rule: str, check: Check, seen: npt.NDArray[np.float64], is_count: bool) -> None:
        self.rule, self.check = f"{rule}.{check.key}", check
        assert isinstance(check.threshold, int | float)
        self.threshold = float(check.threshold)
        self.is_count = is_count
        self.edges, self.log = _edges(seen, self.threshold, is_count)
        self.counts = np.zeros((3, len(self.edges) - 1), dtype=np.int64)
        self.zeros = np.zeros(3, dtype=np.int64)
        self._at_zero = not is_count and bool(np.mean(seen == 0) > _MANY_ZEROS) if len(seen) else False
        self.documents = 0
        self._least, self._most = float("inf"), float("-inf")

    @property
    def only(self) -> float | None:
        """The value that all documents have, if it is one."""
        return self._least if self._least == self._most else None

    def add(self, signals: pa.Table, kept: npt.NDArray[np.bool_], rules: Sequence[str]) -> None:
        """Count the documents of one file; rules: the ledger's rule of each."""
        values = _numbers(signals, self.check.signal)
        here = np.fromiter((rule == self.rule for rule in rules), dtype=bool, count=len(rules))
        known = ~np.isnan(values)
        inside = np.clip(values, self.edges[0], self.edges[-1])
        zero = (values == 0) & self._at_zero
        for index, part in enumerate((kept, here, ~kept & ~here)):
            self.counts[index] += np.histogram(inside[known & part & ~zero], self.edges)[0]
            self.zeros[index] += int((zero & part).sum())
        self.documents += int(known.sum())
        if known.any():
            self._least = min(self._least, float(values[known].min()))
            self._most = max(self._most, float(values[known].max()))


def histograms_of(run: FinishedRun) -> list[Histogram]:
    """An empty histogram for every check of a number, its bins laid by the first files' documents."""
    names = signal_names(run)
    checks = [
        (rule.name, check)
        for rule in run.recipe.rules
        for check in rule.checks_on(names)
        if check.drop_if in _SIGNS and isinstance(check.threshold, int | float)
    ]
    if not checks:
        return []
    columns = sorted({check.signal for _, check in checks})
    seen: list[pa.Table] = []
    for unit in run.tables:
        seen.append(pq.read_table(unit.signals, columns=columns))
        if sum(table.num_rows for table in seen) >= _LOOKED_AT:
            break
    table = (
        pa.concat_tables(seen) if seen else pa.table({name: pa.array([], pa.float64()) for name in columns})
    )
    is_count = {name: pa.types.is_integer(table.column(name).type) for name in columns}
    return [
        Histogram(rule, check, _numbers(table, check.signal), is_count[check.signal])
        for rule, check in checks
    ]


def _numbers(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """A column as float64, null as NaN."""
    values = pc.fill_null(table.column(name).cast(pa.float64()), float("nan"))
    return np.asarray(values, dtype=np.float64)


def _edges(
    seen: npt.NDArray[np.float64], threshold: float, is_count: bool
) -> tuple[npt.NDArray[np.float64], bool]:
    """Bin edges over what most documents have, and the threshold; the highest 2 % end in the last bin."""
    known = seen[np.isfinite(seen)]
    low, high = (np.quantile(known, [0.005, 0.98]) if len(known) else (threshold, threshold)).__iter__()
    # Both sides of the threshold have a bin at least.
    least = min(low, 0 if is_count else threshold)  # there are no counts below 0
    low, high = min(low, max(threshold - is_count, least)), max(high, threshold + is_count)
    if is_count and high >= _LONG:
        return np.geomspace(max(low, 1), max(high * 1.05, 2), BINS + 1), True
    if is_count:
        return np.arange(np.floor(low), np.floor(high) + 2) - 0.5, False
    room = (high - low) * 0.03 or 0.5
    first = low - room if low < 0 or low - room > 0 else 0.0
    return np.linspace(first, high + room, BINS + 1), False
