"""Decisions from stored columns: first check wins, nulls never drop, values are shown."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from werp.decide import decide
from werp.signals.base import Check, Rule


class Fixed(Rule):
    rule: str = "fixed.v1"
    checks_: tuple[Any, ...] = ()

    def checks(self) -> list[Check]:
        return [Check(*check) for check in self.checks_]


def verdicts(columns: dict[str, list[Any]], *checks: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    table = decide(pa.table(columns), [Fixed(checks_=checks)])
    assert table.column_names == ["outcome", "stage", "rule", "value", "threshold"]
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert {(outcome, stage is None) for outcome, stage, *_ in rows} <= {("dropped", False), (None, True)}
    return [row[1:] for row in rows]


def test_each_comparison_drops_on_its_own_side() -> None:
    kept = (None, None, None, None)
    for operator, dropped in (("<", {1.0}), ("<=", {1.0, 2.0}), (">", {3.0}), (">=", {2.0, 3.0})):
        found = verdicts({"x": [1.0, 2.0, 3.0, None]}, ("k", "x", operator, 2.0))
        assert [row != kept for row in found] == [v in dropped for v in (1.0, 2.0, 3.0, None)]


def test_the_first_check_that_holds_names_the_drop() -> None:
    found = verdicts({"x": [1, 9], "y": [0.5, 0.25]}, ("few", "x", "<", 5), ("low", "y", "<", 0.75))
    assert found == [("filter", "fixed.v1.few", "1", "5"), ("filter", "fixed.v1.low", "0.25", "0.75")]


def test_strings() -> None:
    columns = {"language": ["en", "de", None], "hit": [None, "casino", None]}
    assert [row[1] for row in verdicts(columns, ("languages", "language", "not_in", ("en", "fr")))] == [
        None, "fixed.v1.languages", "fixed.v1.languages",
    ]  # fmt: skip
    assert verdicts(columns, ("word", "hit", "set", None))[1] == ("filter", "fixed.v1.word", "casino", None)
    assert [row[0] for row in verdicts(columns, ("banned", "language", "in", ("de",)))] == [
        None,
        "filter",
        None,
    ]


def test_no_rows_and_no_rules() -> None:
    assert decide(pa.table({"x": pa.array([], pa.float64())}), []).num_rows == 0
    assert verdicts({"x": []}, ("k", "x", "<", 1)) == []
