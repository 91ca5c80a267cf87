"""The scorer against a scorer written from scratch, on all nine tasks; and what must not change a score."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from eval_harness.adapters.checkpoint import CheckpointModel
from eval_harness.data import FolderSource, load
from eval_harness.encode import Encoder
from eval_harness.errors import EvalError
from eval_harness.evaluate import Settings, questions
from eval_harness.model import Found, Rows
from eval_harness.scorer import Ask, Scorer
from eval_harness.tasks import TASKS
from tests.eval_harness.tiny import FromScratch, checkpoint

#: Nats. Float32 against float64, sums of up to a hundred tokens; docs/evaluation.md states it.
BOUND = 1e-4
SENTENCES = [
    "The heat of the sun warms the earth and the water. Question: What is it?\nAnswer: the sun, 42."
] * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("scorer") / "model", SENTENCES, window=20_000)


@pytest.fixture(scope="module")
def nine(werp_data: Path) -> dict[str, list[Ask]]:
    """Two items of each task in both forms, five shots, with their unconditional requests."""
    source = FolderSource(werp_data / "benchmarks")
    asks: dict[str, list[Ask]] = {}
    for task in TASKS.values():
        data = load(task, source)
        for form in ("cloze", "multiple_choice"):
            asked = questions(task, data, Settings(form, 5, limit=2))  # type: ignore[arg-type]
            asks.setdefault(task.name, []).extend((*asked.asks, *asked.unconditional))
    return asks


@pytest.mark.parametrize("name", TASKS)
def test_scores_equal_those_from_scratch(name: str, folder: Path, nine: dict[str, list[Ask]]) -> None:
    scorer, scratch = Scorer(CheckpointModel(folder)), FromScratch(folder)
    assert scorer.model.shares_prefix
    requests = 0
    for ask, answer in zip(nine[name], scorer.score(nine[name]), strict=True):
        lead = ask.head + "".join(ask.shots)
        for i, (context, continuation) in enumerate(zip(ask.contexts, ask.continuations, strict=True)):
            log_p, tokens = scratch.score(lead + context, continuation)
            assert answer.log_p[i] == pytest.approx(log_p, abs=BOUND)
            assert answer.tokens[i] == tokens
            requests += 1
    assert scorer.counts.requests == requests
    assert scorer.counts.tokens < scorer.counts.naive / 2


def test_batch_size_order_and_neighbours_do_not_matter(folder: Path, nine: dict[str, list[Ask]]) -> None:
    asks = [ask for name in ("mmlu", "arc_easy", "winogrande", "piqa") for ask in nine[name]]
    model = CheckpointModel(folder)
    reference = Scorer(model).score(asks)
    mixed = list(range(len(asks)))
    random.Random(0).shuffle(mixed)
    shuffled = dict(zip(mixed, Scorer(model).score([asks[i] for i in mixed]), strict=True))
    model.budget, model.call = 10**9, 10**9  # all groups in one batch, though their prefixes differ
    one = Scorer(model)
    mixed_up = one.score(asks)
    assert model.shares_prefix
    assert one.counts.padding > one.counts.tokens / 4
    model.budget = 1  # every item alone
    alone = Scorer(model).score(asks)
    model.shares_prefix = False  # every request alone, nothing shared
    apart = Scorer(model).score(asks)
    for i, expected in enumerate(reference):
        for other in (shuffled[i], mixed_up[i], alone[i], apart[i]):
            assert other.log_p == pytest.approx(expected.log_p, abs=BOUND)
            assert (other.tokens, other.greedy) == (expected.tokens, expected.greedy)


def test_all_batches_are_started_before_one_is_waited_for(
    folder: Path, nine: dict[str, list[Ask]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CheckpointModel(folder)
    model.budget = 256
    events: list[str] = []
    plain = model.rows

    def rows(kept: object, batch: Rows) -> Found:
        found = plain(kept, batch)
        events.append("started")

        def wait() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
            events.append("read")
            return found()

        return wait

    monkeypatch.setattr(model, "rows", rows)
    done: list[int] = []
    Scorer(model).score(nine["mmlu"], done.append)
    half = len(events) // 2
    assert half > 1
    assert events == ["started"] * half + ["read"] * half
    assert sum(done) == len(nine["mmlu"])


def test_greedy_is_told(folder: Path) -> None:
    model = CheckpointModel(folder)
    context = "Question: What is it?\nAnswer:"
    letters = tuple(f" {chr(65 + i)}" for i in range(26))
    answer = Scorer(model).score([Ask((context,) * 26, letters)])[0]
    ids = model.encode([context, *letters])
    rows = FromScratch(folder)
    for letter, tokens, greedy in zip(letters, ids[1:], answer.greedy, strict=True):
        likeliest = rows.model(torch.tensor([ids[0] + tokens[:-1]]))[0, len(ids[0]) - 1 :].argmax(-1).tolist()
        assert greedy == (likeliest == tokens), letter


def test_a_small_window_drops_the_last_shots_and_says_so(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", SENTENCES, window=90)
    model, scratch = CheckpointModel(folder), FromScratch(folder)
    shots = tuple(f"Question: number {i}?\nAnswer: it is {i}\n\n" for i in range(5))
    short = Ask(("Question: short?\nAnswer:",) * 2, (" yes", " no way"), shots)
    long = Ask(("Question: " + "long " * 40 + "?\nAnswer:",), (" yes",), shots)
    first, second = Scorer(model).score([short, long])
    assert 0 < first.shots < 5
    assert first.length - 1 <= 90
    kept = "".join(shots[: first.shots]) + short.contexts[0]
    assert first.log_p[1] == pytest.approx(scratch.score(kept, " no way")[0], abs=BOUND)
    one_more = "".join(shots[: first.shots + 1]) + short.contexts[0] + " no way"
    assert len(model.encode([one_more])[0]) - 1 > 90
    model.window = first.length - 1  # what just fits loses nothing
    assert Scorer(model).score([short])[0].shots == first.shots
    model.window = 90
    # Nothing left to drop: scored whole, never cut, longer than the window.
    assert second.shots == 0
    assert second.length - 1 > 90
    assert second.log_p[0] == pytest.approx(scratch.score(long.contexts[0], " yes")[0], abs=BOUND)
    model.hard_window = True  # type: ignore[misc]
    with pytest.raises(EvalError, match=r"does not fit the model's window of 90"):
        Scorer(model).score([long])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_give_no_number_give_no_score(folder: Path, bad: float) -> None:
    """They scored 0 of 30, or a tie of all: an accuracy, a standard error of 0, and no word."""
    model = CheckpointModel(folder)
    with torch.no_grad():
        model.model.head.weight[5, 0] = bad
    with pytest.raises(EvalError, match="its weights are damaged or its training diverged"):
        Scorer(model).score([Ask(("Question: why?\nAnswer:",) * 2, (" yes", " no"))])


def test_seams_are_checked_and_wholes_encoded_where_they_merge(folder: Path) -> None:
    model = CheckpointModel(folder)
    cases = [
        ("The heat of", "", " the sun"),
        ("", "The he", "at of"),  # a word cut in two
        ("The heat \n", "\n\nQuestion:", " What"),
        ("Question: a", "\n\nWhat is 4", "2"),
        ("a.", " ", " b"),
    ]
    encoder = Encoder(model.encode)
    for (stem, item, tail), (ids, start) in zip(cases, encoder.join(cases), strict=True):
        assert ids == model.encode([stem + item + tail])[0]
        assert start == min(len(model.encode([stem + item])[0]), len(ids) - 1)


def test_empty_texts_are_refused(folder: Path) -> None:
    model = CheckpointModel(folder)
    with pytest.raises(EvalError, match="empty"):
        model.score("Question", [" a", ""])
    with pytest.raises(EvalError, match="empty"):
        model.score("", [" a"])
    assert model.score("Question", []) == []


@pytest.mark.parametrize("lost", ["continuation", "context"])
def test_a_text_that_the_tokenizer_drops_is_refused(folder: Path, lost: str) -> None:
    """Without a token its log-probability was 0, the best there is."""
    model = CheckpointModel(folder)
    words = Tokenizer(models.BPE())  # neither bytes nor an unknown token: other characters are dropped
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=100, show_progress=False))
    model.tokenizer = words
    texts = {"context": "The sun", "continuation": " yes"} | {lost: " 你好"}
    with pytest.raises(EvalError, match="makes no token of ' 你好'"):
        Scorer(model).score([Ask((texts["context"],), (texts["continuation"],))])


def test_the_plain_contract_gives_the_same(folder: Path) -> None:
    model, scratch = CheckpointModel(folder), FromScratch(folder)
    context, choices = (
        "Question: What causes sound?\nAnswer:",
        [" vibrations", " the sun of the earth", " 42"],
    )
    expected = [scratch.score(context, choice)[0] for choice in choices]
    assert model.score(context, choices) == pytest.approx(expected, abs=BOUND)


def test_a_layer_that_does_not_attend_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.decoder import Block  # noqa: PLC0415

    plain = Block.forward

    def running_mean(self: Block, x, cos, sin, mask):  # type: ignore[no-untyped-def]
        y = plain(self, x, cos, sin, mask)
        return y + x.cumsum(1) / 10  # sees the row's start, not the prefix

    monkeypatch.setattr(Block, "forward", running_mean)
    model = CheckpointModel(folder)
    assert not model.shares_prefix
    ask = Ask(("The heat of",) * 2, (" the sun", " a"), ("The water\n\n",))
    together = Scorer(model).score([ask, dataclasses.replace(ask, continuations=(" it", " the"))])
    scratch = FromScratch(folder)
    assert together[0].log_p[0] == pytest.approx(
        scratch.score("The water\n\nThe heat of", " the sun")[0], abs=BOUND
    )
