"""Rule `decontaminate.v1`: drop, cut or report, by the same hits; a cut leaves nothing of a benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from werp.decide import decide
from werp.edits import apply_edits
from werp.signals.batch import TextBatch
from werp.signals.chain import edit, measure, signals_schema
from werp.signals.decontaminate import Decontaminate

QUESTION = "A student measures how long a ball takes to fall from the roof. What changes at a constant rate?"
SHORT = "Which technology was developed most recently?"
FILLER = "Elsewhere the weather stayed dry, and nobody in the village spoke of it again. " * 8


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("benchmarks")
    rows = [
        {
            "task": "mmlu",
            "split": "test",
            "id": "1",
            "question": QUESTION,
            "choices": ["the mass", "the speed"],
            "gold": 1,
        },
        {
            "task": "arc_easy",
            "split": "validation",
            "id": "2",
            "question": SHORT,
            "choices": ["radio", "mobile phone"],
            "gold": 1,
        },
        {
            "task": "arc_easy",
            "split": "train",
            "id": "3",
            "question": "May a train item be quoted without any harm?",
            "choices": ["yes it may", "no"],
            "gold": 0,
        },
    ]
    (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder)


TEXTS = [
    FILLER,
    f"{FILLER}{QUESTION}\nthe speed\n{FILLER}",
    f"{FILLER}{SHORT} A mobile phone.\n{FILLER}{QUESTION} It is the speed. {FILLER}",
    "May a train item be quoted without any harm? yes it may",
]


def batch() -> TextBatch:
    return TextBatch([str(k) for k in range(len(TEXTS))], [""] * len(TEXTS), TEXTS)


def verdicts(rule: Decontaminate) -> list[tuple[str | None, str | None]]:
    columns = measure([rule], batch())
    found = decide(pa.table(columns), [rule]).to_pydict()
    return list(zip(found["rule"], found["value"], strict=True))


def test_drop_names_the_benchmark_and_the_item(benchmarks: str) -> None:
    rule = Decontaminate(benchmarks=benchmarks)
    assert verdicts(rule) == [
        (None, None),
        ("decontaminate.v1.mmlu", "test/1"),
        ("decontaminate.v1.arc_easy", "validation/2"),
        (None, None),
    ]
    assert edit([rule], batch()) == [[], [], [], []]


def test_report_keeps_all_and_says_where(benchmarks: str) -> None:
    rule = Decontaminate(benchmarks=benchmarks, action="report")
    assert verdicts(rule) == [(None, None)] * 4
    hits = measure([rule], batch())["decontaminate.hits"].to_pylist()
    assert [[(hit["task"], hit["item"], hit["rule"]) for hit in own] for own in hits] == [
        [],
        [("mmlu", "test/1", "13-gram")],
        [("arc_easy", "validation/2", "short"), ("mmlu", "test/1", "13-gram")],
        [],
    ]
    assert TEXTS[1][hits[1][0]["start"] : hits[1][0]["end"]] == f"{QUESTION}\nthe speed"


def test_a_cut_takes_the_item_and_its_surroundings(benchmarks: str) -> None:
    rule = Decontaminate(benchmarks=benchmarks, action="cut", cut_characters=50)
    spans = edit([rule], batch())
    assert [len(own) for own in spans] == [0, 1, 2, 0]
    left = [apply_edits(text, own) for text, own in zip(TEXTS, spans, strict=True)]
    assert left[0] == TEXTS[0]
    assert left[1] == f"{FILLER[:-50]}\n{FILLER[49:]}"
    assert not any("ball takes" in text or "mobile phone" in text for text in left)
    again = Decontaminate(benchmarks=benchmarks, action="report")
    clean = TextBatch([""] * 4, [""] * 4, left)
    assert measure([again], clean)["decontaminate.hits"].to_pylist() == [[], [], [], []]
    assert verdicts(rule) == [(None, None)] * 4
    few = Decontaminate(benchmarks=benchmarks, action="cut", cut_characters=50, max_cuts=1)
    assert [rule for rule, _ in verdicts(few)] == [None, None, "decontaminate.v1.max_cuts", None]


def test_keys_follow_what_is_searched_for(benchmarks: str, tmp_path: Path) -> None:
    rule = Decontaminate(benchmarks=benchmarks)
    same = Decontaminate(benchmarks=benchmarks, action="report")
    assert rule.measure_parameters() == same.measure_parameters()
    assert rule.measure_parameters() != Decontaminate(benchmarks=benchmarks, near=10).measure_parameters()
    assert rule.edit_parameters() == {}
    assert Decontaminate(benchmarks=benchmarks, action="cut").edit_parameters() != {}
    (tmp_path / "x.jsonl").write_text((Path(benchmarks) / "all.jsonl").read_text().replace("ball", "stone"))
    assert rule.measure_parameters() != Decontaminate(benchmarks=str(tmp_path)).measure_parameters()
    names = signals_schema([rule]).names
    assert names == [
        "id",
        "failure",
        "decontaminate.hits",
        "decontaminate.cuts",
        "decontaminate.arc_easy",
        "decontaminate.mmlu",
        "decontaminate.emptied",
    ]
