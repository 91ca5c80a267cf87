"""Scoring: a model whose answers are known, both normalisations, errors and the file written."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence, Set
from pathlib import Path

import pytest

from eval_harness.__main__ import data_folder, select, write_scores
from eval_harness.errors import EvalError
from eval_harness.score import choose, describe, evaluate, near_chance, standard_error
from eval_harness.task import Item, TaskData
from eval_harness.tasks import TASKS
from eval_harness.tasks.arc_easy import TASK

ITEMS = tuple(
    Item(f"q{i}", f"What is {i}?", ("no", f"it is the number {i}", "never", "ok"), gold=i % 4)
    for i in range(40)
)
DATA = TaskData(ITEMS, ("Question: Is water wet?\nAnswer: yes",))


class Oracle:
    """Gives each continuation the log-probability that `value` says; remembers what it was asked."""

    def __init__(self, wrong: Set[str] = frozenset()) -> None:
        self.wrong, self.contexts = wrong, list[str]()

    def score(self, context: str, continuations: Sequence[str]) -> list[float]:
        self.contexts.append(context)
        item = next(item for item in ITEMS if context.endswith(f"Question: {item.question}\nAnswer:"))
        best = (item.gold + (item.id in self.wrong)) % 4
        return [-0.001 if i == best else -10.0 * len(text) for i, text in enumerate(continuations)]


def test_a_model_that_knows_all_but_three_scores_so() -> None:
    result = evaluate(TASK, DATA, Oracle(wrong={"q3", "q7", "q11"}), limit=None, shots=0)
    assert result["scores"]["raw"]["accuracy"] == result["scores"]["per_character"]["accuracy"] == 37 / 40
    hits = [1.0] * 37 + [0.0] * 3
    mean = sum(hits) / 40
    error = math.sqrt(sum((x - mean) ** 2 for x in hits) / 39 / 40)
    assert result["scores"]["raw"]["standard_error"] == pytest.approx(error)
    assert (result["n"], result["chance"], result["near_chance"]) == (40, 0.25, False)


def test_raw_and_per_character_can_differ() -> None:
    short_and_long = [" no", " it is the number 3"]
    log_p = [-3.0, -9.0]  # a character: -1 and -0.5
    assert choose(log_p, short_and_long, "raw") == 0
    assert choose(log_p, short_and_long, "per_character") == 1
    assert choose([-1.0, -1.0], short_and_long, "raw") == 0


def test_the_leading_space_counts_as_a_character() -> None:
    # Without it -3/2 < -4/3 would pick the second; with it -3/3 > -4.2/4 picks the first.
    assert choose([-3.0, -4.2], [" ab", " abc"], "per_character") == 0


def test_a_limit_draws_the_same_sample_each_time_and_the_hash_tells() -> None:
    first, second = Oracle(), Oracle()
    a = evaluate(TASK, DATA, first, limit=10, shots=0)
    b = evaluate(TASK, DATA, second, limit=10, shots=0)
    drawn = random.Random(1234).sample(list(ITEMS), 10)
    assert first.contexts == second.contexts == [f"Question: {item.question}\nAnswer:" for item in drawn]
    assert a["prompt_sha256"] == b["prompt_sha256"]
    assert a["prompt_sha256"] != evaluate(TASK, DATA, Oracle(), limit=11, shots=0)["prompt_sha256"]
    assert a["prompt_sha256"] != evaluate(TASK, DATA, Oracle(), limit=10, shots=1)["prompt_sha256"]
    assert evaluate(TASK, DATA, Oracle(), limit=99, shots=0)["n"] == 40


def test_demonstrations_stand_before_the_question_and_too_many_are_refused() -> None:
    model = Oracle()
    evaluate(TASK, DATA, model, limit=1, shots=1)
    assert model.contexts[0].startswith("Question: Is water wet?\nAnswer: yes\n\nQuestion: What is ")
    with pytest.raises(EvalError, match="--shots 2: the data at hand holds 1"):
        evaluate(TASK, DATA, Oracle(), limit=1, shots=2)


def test_chance_is_told_beside_the_accuracy() -> None:
    assert near_chance(0.34, 0.25, 50)
    assert not near_chance(0.38, 0.25, 50)
    assert not near_chance(0.34, 0.25, 2376)
    wrong = {item.id for item in ITEMS if item.gold != 0}
    result = evaluate(TASK, DATA, Oracle(wrong), limit=None, shots=0)
    line = describe("arc_easy", result)
    assert "accuracy 25.0% ± 6.9%" in line
    assert "chance 25.0%: not to be told from guessing" in line
    assert "guessing" not in describe("arc_easy", evaluate(TASK, DATA, Oracle(), limit=None, shots=0))


def test_one_item_has_no_standard_error() -> None:
    assert standard_error([True]) is None
    assert "± unknown" in describe("arc_easy", evaluate(TASK, DATA, Oracle(), limit=1, shots=0))


def test_an_unknown_task_names_the_nearest() -> None:
    assert select("all") == list(TASKS.values())
    assert select("arc_easy, arc_easy") == [TASK]
    with pytest.raises(EvalError, match=r"'arc_esy' is no task .did you mean arc_easy"):
        select("arc_esy")
    with pytest.raises(EvalError, match="known: arc_easy"):
        select("zzz")


def test_a_data_folder_named_is_used_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WERP_DATA", raising=False)
    assert data_folder(None) is None
    (tmp_path / "benchmarks").mkdir()
    monkeypatch.setenv("WERP_DATA", str(tmp_path))
    assert data_folder(None) == tmp_path / "benchmarks"
    assert data_folder(tmp_path / "benchmarks") == tmp_path / "benchmarks"
    monkeypatch.setenv("WERP_DATA", str(tmp_path / "gone"))
    with pytest.raises(EvalError, match=r"WERP_DATA .*gone: no such folder"):
        data_folder(None)


def test_scores_are_written_whole(tmp_path: Path) -> None:
    write_scores(tmp_path / "deep/scores.json", {"a": 1})
    assert json.loads((tmp_path / "deep/scores.json").read_text()) == {"a": 1}
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["scores.json"]
