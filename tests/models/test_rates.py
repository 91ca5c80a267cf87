"""What a run plans: length, warm-up and rate of each step, the size of its first weights, and their loss."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from models.config import TrainConfig
from models.data import IGNORED, DataOrder, Tokens
from models.decoder import Decoder
from models.engine import plain_losses
from models.ladder import LADDER, VOCABULARY, WINDOW, Rung, plan
from models.settings import make_plan
from models.train import train
from tests.models.folders import token_folder

TINY = Rung("tiny", width=32, heads=2, layers=2)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [f"number {i}, the cat sat. " * (1 + i % 3) for i in range(90)]
    return token_folder(tmp_path_factory.mktemp("rates"), texts)


@pytest.fixture(autouse=True)
def _tiny_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LADDER, "tiny", TINY)


def config(tokens: Path, output: Path, **changes: Any) -> TrainConfig:
    values = {"rung": "tiny", "window": 24, "batch_size": 4, "steps": 20, "learning_rate": 1e-2, **changes}
    return TrainConfig(tokens=tokens, output=output, **values)


def rates(output: Path) -> list[float]:
    return [json.loads(line)["learning_rate"] for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_every_step_has_the_schedules_rate(tokens: Path, tmp_path: Path) -> None:
    """A tenth of warm-up at most, the peak at its end, a hundredth of it at the last step."""
    train(config(tokens, tmp_path / "cosine"))
    after = [(step - 2) / 18 for step in range(3, 21)]
    expected = [0.5, 1.0] + [0.01 + 0.99 * (1 + math.cos(math.pi * x)) / 2 for x in after]
    assert rates(tmp_path / "cosine") == pytest.approx([1e-2 * x for x in expected], rel=1e-12)
    train(config(tokens, tmp_path / "wsd", schedule="wsd", warmup=0.8))
    expected = [step / 16 for step in range(1, 17)] + [1 - 0.99 * x / 4 for x in range(1, 5)]
    assert rates(tmp_path / "wsd") == pytest.approx([1e-2 * x for x in expected], rel=1e-12)


def test_a_smaller_batch_or_window_keeps_the_tokens_of_run_and_warm_up() -> None:
    run = TrainConfig(tokens=Path("t"), output=Path("o"), rung="150M", window=512, batch_size=24)
    whole, small = plan(LADDER["150M"], 20), make_plan(run, LADDER["150M"], VOCABULARY)
    assert (small.batch, small.window) == (24, 512)
    assert small.steps == math.ceil(whole.steps * whole.batch * WINDOW / (24 * 512))
    assert small.warmup_steps == math.ceil(whole.warmup_steps * whole.batch * WINDOW / (24 * 512))
    assert (small.learning_rate, small.weight_decay) == (whole.learning_rate, whole.weight_decay)


def test_the_first_loss_is_the_mean_over_the_tokens_that_are_predicted(tokens: Path, tmp_path: Path) -> None:
    """Of the initial weights, on the first step's windows: one position in some is another document's."""
    train(config(tokens, tmp_path, steps=2, micro_batch=1, learning_rate=1e-30))
    torch.manual_seed(6198)
    model = Decoder(TINY, 384)
    order = DataOrder([Tokens.open(tokens)], 24, 4, 6198)
    batch = order.batch(order.rows(0))
    count = (batch.targets != IGNORED).sum()
    assert count < 0.95 * batch.targets.numel()
    losses = plain_losses(model, batch.tokens, batch.targets, batch.documents)[0]
    first = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx((losses.double().sum() / count).item(), rel=1e-6)


def test_weights_begin_as_normal_numbers_cut_at_three_deviations() -> None:
    torch.manual_seed(0)
    model = Decoder(Rung("wide", width=128, heads=4, layers=1), 512)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            # Of a normal distribution cut there the deviation is 0.98658 of the whole one's.
            assert parameter.std().item() == pytest.approx(0.02 * 0.98658, rel=0.02), name
            assert 0.055 < parameter.abs().max() <= 0.06, name
        else:
            assert (parameter == 1).all(), name
