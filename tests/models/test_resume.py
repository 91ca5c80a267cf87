"""What a run takes up with a checkpoint: the guard's history, counts, times; and what a checkpoint holds."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import models.optimizer
import models.run
from models.config import TrainConfig
from models.ladder import LADDER, Rung
from models.state import Checkpointer, checkpoints, host_copy, read_state
from models.train import train
from tests.models.folders import token_folder


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = ["the cat sat on the mat and the dog lay by the door. " * 6 for _ in range(20)]
    return token_folder(tmp_path_factory.mktemp("resume"), texts)


@pytest.fixture(autouse=True)
def _tiny_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LADDER, "tiny", Rung("tiny", width=32, heads=2, layers=2))


def config(tokens: Path, output: Path, **changes: Any) -> TrainConfig:
    values = {"rung": "tiny", "window": 24, "batch_size": 4, "steps": 16, "learning_rate": 1e-2, **changes}
    return TrainConfig(tokens=tokens, output=output, **values)


def rows(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_spikes_before_and_after_a_kill_are_skipped_as_if_nothing_had_happened(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    """The guard judges by the steps before the kill, and Adam counts no skipped step after it."""
    monkeypatch.setattr(models.optimizer, "SETTLED", 4)
    original, killed = models.run.Run.launch, [False]

    def launch(self: models.run.Run, data: Any) -> Any:
        if self.step in (6, 12):
            self.engine.flat.gradient.add_(30.0)
        if self.step == 11 and killed[0]:
            raise Killed
        return original(self, data)

    monkeypatch.setattr(models.run.Run, "launch", launch)
    changes = {"optimizer": optimizer, "checkpoint_every": 4, "weight_decay": 1.0}
    whole = train(config(tokens, tmp_path / "whole", **changes))["result"]
    run = config(tokens, tmp_path / "cut", **changes)
    killed[0] = True
    with pytest.raises(Killed):
        train(run)
    killed[0] = False
    resumed = train(run)["result"]
    assert resumed["steps_after_resume"] == 8
    both = [rows(tmp_path / name) for name in ("whole", "cut")]
    assert [row["skipped"] for row in both[0]] == [step in (7, 13) for step in range(1, 17)]
    for key in ("loss", "gradient_norm", "skipped", "learning_rate"):
        assert [row[key] for row in both[0]] == [row[key] for row in both[1]], key
    assert resumed["skipped_steps"] == whole["skipped_steps"] == 2
    seconds = [row["seconds"] for row in both[1]]
    assert seconds == sorted(seconds)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_a_checkpoint_is_of_its_step_however_long_it_takes_to_write(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training goes on meanwhile, and changes none of it."""
    changes = {"steps": 8, "checkpoint_every": 2, "keep": 3}
    train(config(tokens, tmp_path / "quick", **changes))
    write = Checkpointer.write_state
    slow = staticmethod(lambda *a: (time.sleep(0.3), write(*a)))
    monkeypatch.setattr(Checkpointer, "write_state", slow)
    train(config(tokens, tmp_path / "slow", **changes))
    found = [checkpoints(tmp_path / name / "checkpoints") for name in ("quick", "slow")]
    for folders in found:  # the three last ones, as asked for
        assert [folder.name for folder in folders] == ["step-0000004", "step-0000006", "step-0000008"]
    for one, other in zip(*found, strict=True):
        a, b = read_state(one)[1], read_state(other)[1]
        assert a.keys() == b.keys()
        for name, x in a.items():
            assert torch.equal(x, b[name]), name
    here = torch.ones(3)
    copied = host_copy({"x": here})["x"]
    here += 1
    assert copied.tolist() == [1, 1, 1]


def test_a_folder_that_is_not_whole_is_no_checkpoint(tmp_path: Path) -> None:
    for name, files in (("step-0000001", ["config.json"]), ("step-0000002", ["state.json"]), ("other", [])):
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("{}")
    assert [folder.name for folder in checkpoints(tmp_path)] == ["step-0000001"]
