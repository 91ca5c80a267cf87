"""The trainer: it learns, repeats itself, stops on NaN, and its checkpoint is the model."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tokenizers import Tokenizer
from torch.nn import functional

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import TrainConfig, read_config
from models.data import Tokens, token_bytes
from models.decoder import Decoder
from models.errors import ModelError
from models.ladder import LADDER, Rung
from models.progress import Reporter
from models.train import learning_rate, summary, train, validate
from tests.models.folders import token_folder

TINY = Rung("tiny", width=32, heads=2, layers=2)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = ["the cat sat on the mat and the dog lay by the door. " * 6 for _ in range(20)]
    return token_folder(tmp_path_factory.mktemp("train"), texts)


@pytest.fixture(autouse=True)
def _tiny_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LADDER, "tiny", TINY)


def config(tokens: Path, output: Path, **changes: Any) -> TrainConfig:
    values = {"rung": "tiny", "window": 24, "batch_size": 4, "steps": 60, "learning_rate": 1e-2, **changes}
    return TrainConfig(tokens=tokens, output=output, **values)


def losses(output: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_the_loss_falls_on_a_repeated_pattern(tokens: Path, tmp_path: Path) -> None:
    result = train(config(tokens, tmp_path))["result"]
    assert abs(result["first_loss"] - math.log(384)) < 0.2  # 300 entries padded to 384, all alike at first
    assert result["last_loss"] < 0.5
    assert result["validation"]["loss"] < 0.5
    assert result["validation"]["bits_per_byte"] < 0.5
    assert result["steps"] == len(losses(tmp_path)) == 60
    assert result["epochs"] > 1
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_two_runs_give_the_same_losses_and_another_seed_others(tokens: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(config(tokens, tmp_path / name, steps=8, seed=seed))
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


def test_validation_equals_a_token_by_token_count(tokens: Path, tmp_path: Path) -> None:
    train(config(tokens, tmp_path, steps=5))
    checkpoint, data = load_checkpoint(tmp_path), Tokens.open(tokens)
    lengths = token_bytes(checkpoint.tokenizer)
    window = 24
    found = validate(checkpoint.model, data, config(tokens, tmp_path), lengths)
    held_out = data.tokens[data.offsets[data.held_out_from] :].astype(np.int64)  # one document of 20
    nats, text_nats, text_bytes = [], 0.0, 0
    for start in range(0, len(held_out) - 1, window):
        ids = held_out[start : start + window + 1]
        for t in range(1, len(ids)):
            log_p = checkpoint.model(torch.from_numpy(ids[None, :t]))[0, -1].log_softmax(-1)
            nats.append(-log_p[ids[t]].item())
            if ids[t] != data.metadata["end_token"]:
                text_nats, text_bytes = text_nats + nats[-1], text_bytes + lengths[ids[t]]
    assert found.tokens == len(nats)
    assert found.loss == pytest.approx(np.mean(nats), rel=1e-5)
    assert found.bits_per_byte == pytest.approx(text_nats / math.log(2) / text_bytes, rel=1e-5)


def test_a_checkpoint_loads_as_the_model_that_was_saved(tokens: Path, tmp_path: Path) -> None:
    model = Decoder(TINY, 384).eval()
    save_checkpoint(tmp_path, model, (tokens / "tokenizer.json").read_bytes(), {"note": 1})
    checkpoint = load_checkpoint(tmp_path)
    ids = torch.randint(384, (1, 9))
    assert torch.equal(checkpoint.model(ids), model(ids))
    assert (checkpoint.config["note"], checkpoint.config["vocabulary"]) == (1, 384)
    assert checkpoint.tokenizer.to_str() == Tokenizer.from_file(str(tokens / "tokenizer.json")).to_str()


def test_a_damaged_or_missing_checkpoint_is_named(tokens: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json: no such file"):
        load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, Decoder(TINY, 384), (tokens / "tokenizer.json").read_bytes(), {})
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:-5])
    with pytest.raises(ModelError, match=r"model\.safetensors: damaged"):
        load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text('{"format": "else"}')
    with pytest.raises(ModelError, match="format 'else'"):
        load_checkpoint(tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_without_a_checkpoint(tokens: Path, tmp_path: Path) -> None:
    train(config(tokens, tmp_path, steps=2))
    with pytest.raises(ModelError, match="lower --learning-rate"):
        train(config(tokens, tmp_path, learning_rate=1e30, warmup=0))
    assert losses(tmp_path)  # of the steps before
    with pytest.raises(ModelError, match="no such file"):  # nor is the older run's taken for this one's
        load_checkpoint(tmp_path)


def test_a_time_budget_ends_the_run(tokens: Path, tmp_path: Path) -> None:
    about = train(config(tokens, tmp_path, steps=None, seconds=1.0))
    assert 1.0 <= about["result"]["seconds"] < 10
    assert about["result"]["steps"] == len(losses(tmp_path)) > 1
    assert "epochs" in summary(about)


def test_the_rate_rises_then_falls_to_a_hundredth() -> None:
    assert learning_rate(0.05, 2.0, 0.1) == pytest.approx(1.0)
    assert learning_rate(0.1, 2.0, 0.1) == pytest.approx(2.0)
    assert learning_rate(0.55, 2.0, 0.1) == pytest.approx(2.0 * (0.01 + 0.99 / 2))
    assert learning_rate(1.0, 2.0, 0.1) == pytest.approx(0.02)
    assert learning_rate(0.0, 2.0, 0.0) == 2.0


def test_documents_in_one_window_cost_what_they_cost_apart(tokens: Path) -> None:
    """The masked loss of a packed window is that of its documents, each on its own."""
    data = Tokens.open(tokens)
    torch.manual_seed(0)
    model = Decoder(TINY, 384)
    a, b, c = (int(x) for x in data.offsets[:3])
    window = data.batch(np.array([a]), c - a - 1)
    together = functional.cross_entropy(
        model(window.tokens, window.documents).flatten(0, 1), window.targets.flatten(), reduction="sum"
    )
    apart = 0.0
    for begin, end in ((a, b), (b, c)):
        ids = torch.from_numpy(data.tokens[begin:end].astype(np.int64))[None]
        apart += functional.cross_entropy(model(ids[:, :-1])[0], ids[0, 1:], reduction="sum").item()
    assert together.item() == pytest.approx(apart, rel=1e-4)


def test_flags_win_over_the_file_and_mistakes_are_named(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("window: 64\nlearning_rate: 1e-3\ntokens: t\noutput: o\n")
    read = read_config(["--config", str(file), "--window", "128"])
    assert (read.window, read.learning_rate, read.tokens, read.seed) == (128, 1e-3, Path("t"), 6198)
    for arguments, message in (
        (["--tokens", "t"], "output: missing"),
        (["--config", str(file), "--window", "x"], "--window: 'x' is not valid"),
        (["--config", str(file), "--rung", "demo-4m"], "did you mean demo-4M"),
        (["--config", str(tmp_path / "none.yaml")], "none.yaml: can't be read"),
    ):
        with pytest.raises(ModelError, match=message):
            read_config(arguments)
    file.write_text("windw: 64\n")
    with pytest.raises(ModelError, match=r"unknown key 'windw'.*did you mean window"):
        read_config(["--config", str(file)])
    file.write_text("window: 0\n")
    with pytest.raises(ModelError, match="window: 0 is not valid"):
        read_config(["--config", str(file), "--tokens", "t", "--output", "o"])


def test_every_key_is_a_flag_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_config(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, field in TrainConfig.model_fields.items():
        assert f"--{name.replace('_', '-')}" in text
        assert field.description is not None
        assert field.description in text


def test_the_shipped_config_is_valid() -> None:
    file = Path(__file__).parents[2] / "models/configs/demo.yaml"
    shipped = read_config(["--config", str(file), "--tokens", "t", "--output", "o"])
    assert (shipped.rung, shipped.seconds, shipped.steps) == ("demo-4M", 60, None)


def test_a_terminal_gets_a_bar_and_a_log_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    with Reporter(Console(file=screen, force_terminal=True, width=100)) as reporter:
        reporter.step(5, 1.0, 2.5, 100, 2.0)
    assert "loss 2.500" in screen.getvalue()
    assert "50 tokens/s" in screen.getvalue()
    assert "\x1b[" in screen.getvalue()
    with Reporter(Console(file=io.StringIO(), force_terminal=False)) as reporter:
        reporter.step(5, 0.5, 2.5, 100, 2.0)
        reporter.step(6, 0.6, 2.4, 120, 2.4)
    assert capsys.readouterr().out == "step 5   50%  loss 2.500  50 tokens/s  2 s left\n"


def test_the_command_line_needs_no_spark_and_shows_no_traceback(tmp_path: Path) -> None:
    code = "import sys; sys.modules['pyspark'] = None; from models.train import main; main()"
    arguments = ["--tokens", str(tmp_path), "--output", str(tmp_path / "o")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/tokens.arrow")
    assert "Traceback" not in done.stderr
