"""Known answers: oracle and anti-oracle, permuted labels, ties, and each number against its definition."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from eval_harness.adapters.double import Double
from eval_harness.data import FolderSource, load
from eval_harness.evaluate import Questions, Settings, evaluate, gather, questions
from eval_harness.metrics import Scored, chance, combine, mean_and_error, same_text_same_score
from eval_harness.scorer import Answer
from eval_harness.task import Form, Item, Prompt
from eval_harness.tasks import TASKS

ONE = Scored(
    gold=1,
    log_p=(-3.0, -6.0, -5.0),
    tokens=(1, 3, 2),
    characters=(4, 10, 6),
    bytes=(4, 12, 6),
    unconditional=(-2.0, -7.0, -4.0),
)


@pytest.fixture(scope="module")
def asked(werp_data: Path) -> dict[tuple[str, Form], Questions]:
    source = FolderSource(werp_data / "benchmarks")
    forms: tuple[Form, ...] = ("cloze", "multiple_choice")
    loaded = {name: load(task, source) for name, task in TASKS.items()}
    return {
        (name, form): questions(TASKS[name], loaded[name], Settings(form, 5, limit=300))
        for name in TASKS
        for form in forms
    }


class Knowing(Double):
    """A model that knows every answer, and gives it or gives anything but it.

    Two items may have the same text and other answers, so it goes by the order in which it is asked.
    """

    def __init__(self, asked: Questions, right: bool) -> None:
        self.golden = [
            ask.continuations[item.gold] if ask.contexts[item.gold] == context else None
            for item, ask in zip(asked.items, asked.asks, strict=True)
            for context in dict.fromkeys(ask.contexts)
        ]
        self.right = right
        super().__init__(lambda context, text: 0.0, "knowing")

    def score(self, context: str, continuations: Sequence[str]) -> list[float]:
        if not self.golden:  # every item is answered: what follows is unconditional
            assert context == "Answer:"
            return [-1.0] * len(continuations)
        golden = self.golden.pop(0)
        good = [(text == golden) == self.right for text in continuations]
        return [(-1e-6 if fine else -1e3) * len(text) for fine, text in zip(good, continuations, strict=True)]


@pytest.mark.parametrize("form", ["cloze", "multiple_choice"])
@pytest.mark.parametrize("name", TASKS)
def test_an_oracle_scores_one_and_its_opposite_zero_in_every_normalisation(
    name: str, form: Form, asked: dict[tuple[str, Form], Questions]
) -> None:
    these = asked[name, form]
    for right, expected in ((True, 1.0), (False, 0.0)):
        result, rows = evaluate(these, Knowing(these, right))
        assert set(result.scores) == set(TASKS[name].normalisations(form))
        for normalisation, score in result.scores.items():
            # Items whose choices are the same text twice can't be known: their credit is split.
            twins = sum(
                len(set(zip(a.contexts, a.continuations, strict=True))) < len(a.contexts) for a in these.asks
            )
            if twins == 0:
                assert score.accuracy == expected, normalisation
            else:
                assert abs(score.accuracy - expected) <= twins / len(these.items)
        assert len(rows) == result.n == len(these.items)


def test_labels_permuted_at_random_give_chance(asked: dict[tuple[str, Form], Questions]) -> None:
    """For any fixed scores: the mean over permutations lies within its own error of guessing."""
    for name in ("arc_challenge", "winogrande", "socialiqa"):
        these = asked[name, "cloze"]
        rng = random.Random(7)
        model = Double(lambda context, text: -len(text) - (hash_of(context + text) % 97) / 7)
        _, rows = evaluate(these, model)
        shares = []
        for _ in range(400):
            credits = []
            for row in rows:
                log_p = row["log_p"]
                one = Scored(
                    rng.randrange(len(log_p)),
                    tuple(log_p),
                    row["tokens"],
                    row["characters"],
                    row["bytes"],
                    None,
                )
                credits.append(one.credit("per_character")[0])
            shares.append(np.mean(credits))
        guess = chance([len(item.choices) for item in these.items], [None] * len(these.items))
        error = np.std(shares, ddof=1) / math.sqrt(len(shares))
        assert abs(np.mean(shares) - guess) < 4 * error
        # And one permutation spreads as guessing does.
        k = np.array([len(item.choices) for item in these.items])
        assert np.std(shares) == pytest.approx(math.sqrt(np.mean(1 / k * (1 - 1 / k)) / len(k)), rel=0.15)


def hash_of(text: str) -> int:
    """A hash that is the same in every process."""
    return sum((i + 1) * ord(c) for i, c in enumerate(text))


def test_ties_are_counted_and_their_credit_split() -> None:
    tied = Scored(0, (-2.0, -2.0, -3.0), (1, 1, 1), (2, 2, 2), (2, 2, 2), None)
    assert tied.credit("raw") == (0.5, True)
    assert Scored(2, *[(-2.0,) * 3], (1,) * 3, (2,) * 3, (2,) * 3, None).credit("raw") == (1 / 3, True)
    assert Scored(2, (-2.0, -2.0, -3.0), (1,) * 3, (2,) * 3, (2,) * 3, None).credit("raw") == (0.0, True)
    # Equal requests get one score, whatever rounding made of them.
    assert same_text_same_score((-1.0, -1.0000001, -2.0), ("a", "a", "b")) == (-1.0, -1.0, -2.0)


def test_normalisations_are_their_definitions() -> None:
    assert ONE.values("raw").tolist() == [-3.0, -6.0, -5.0]
    assert ONE.values("per_token").tolist() == [-3.0, -2.0, -2.5]
    assert ONE.values("per_character").tolist() == [-3 / 4, -6 / 10, -5 / 6]
    assert ONE.values("per_byte").tolist() == [-3 / 4, -6 / 12, -5 / 6]
    assert ONE.values("pmi").tolist() == [-1.0, 1.0, -1.0]  # differences, not ratios: 1.5, 0.857, 1.25
    assert ONE.credit("raw") == (0.0, False)
    assert ONE.credit("pmi") == (1.0, False)
    assert ONE.bits_per_byte == pytest.approx(6 / 12 / math.log(2))


def test_lengths_count_the_leading_space_and_bytes_are_utf8() -> None:
    item = Item("x", "q", ("é", "two words"), 0)
    prompt = Prompt(("Q:", "Q:"), (" é", " two words"))
    scored = gather(item, prompt, Answer((-1.0, -2.0), (1, 2), (False, False), 0, 5), None)
    assert (scored.characters, scored.bytes, scored.tokens) == ((2, 10), (3, 10), (1, 2))


def test_continuous_metrics_are_datadecides() -> None:
    p = [math.exp(-3), math.exp(-6), math.exp(-5)]
    raw = ONE.probabilities("raw")
    assert raw["correct_prob"] == pytest.approx(p[1])
    assert raw["margin"] == pytest.approx(p[1] - p[0])
    assert raw["total_prob"] == pytest.approx(sum(p))
    assert raw["norm_correct_prob"] == pytest.approx(p[1] / sum(p))
    assert ONE.probabilities("per_token")["correct_prob"] == pytest.approx(math.exp(-2))


def test_standard_errors_are_plain_or_clustered() -> None:
    values = [1.0, 0.0, 1.0, 1.0]
    mean, error = mean_and_error(values, [None] * 4)
    assert mean == 0.75
    assert error == pytest.approx(np.std(values, ddof=1) / 2)
    mean, error = mean_and_error(values, ["a", "a", "a", "b"])  # subject means 2/3 and 1
    assert mean == pytest.approx((2 / 3 + 1) / 2)
    assert error == pytest.approx(np.std([2 / 3, 1], ddof=1) / math.sqrt(2))
    assert mean_and_error([1.0], [None]) == (1.0, None)
    assert combine({"a": (0.5, 0.03), "b": (0.7, 0.04)}) == (pytest.approx(0.6), pytest.approx(0.025))
    assert combine({"a": (0.5, None), "b": (0.7, 0.04)}) == (pytest.approx(0.6), None)
