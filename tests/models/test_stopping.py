"""Runs that signals end, and checkpoints by the clock: what goes on from them ends with the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import models.run
from models.config import read_config
from models.errors import ModelError
from models.ladder import LADDER, Rung
from models.resume import locked
from models.state import checkpoints
from models.stopping import SIGNALS, Stopped, StopRequest, handled
from models.train import main, train
from tests.models.folders import token_folder

SETTINGS = [
    "--rung",
    "4M",
    "--window",
    "32",
    "--batch-size",
    "2",
    "--learning-rate",
    "3e-3",
    "--device",
    "cpu",
]
STEPS = 32


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [f"the cat sat on mat {i} and the dog lay by the door. " * (1 + i % 5) for i in range(60)]
    return token_folder(tmp_path_factory.mktemp("stopping"), texts)


def words(tokens: Path, output: Path, *extra: str) -> list[str]:
    return ["--tokens", str(tokens), "--output", str(output), "--steps", str(STEPS), *SETTINGS, *extra]


@pytest.fixture(scope="module")
def unharmed(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("unharmed") / "model"
    train(read_config(words(tokens, output, "--checkpoint-minutes", "0")))
    assert [folder.name for folder in checkpoints(output / "checkpoints")] == [f"step-{STEPS:07d}"]
    return output


def rows(output: Path) -> list[dict[str, Any]]:
    path = output / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def assert_same(output: Path, unharmed: Path) -> None:
    assert [row["loss"] for row in rows(output)] == [row["loss"] for row in rows(unharmed)]
    weights = [(folder / "model.safetensors").read_bytes() for folder in (output, unharmed)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_process_that_a_signal_ends_leaves_a_checkpoint_of_its_last_step(
    number: int, status: int, tokens: Path, unharmed: Path, tmp_path: Path
) -> None:
    output = tmp_path / "model"
    command = [sys.executable, "-m", "models.train", *words(tokens, output)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while len(rows(output)) < 3 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(number)
    _, told = process.communicate(timeout=120)
    assert process.returncode == status
    step = len(rows(output))
    assert 3 <= step < STEPS
    (last,) = checkpoints(output / "checkpoints")
    assert last.name == f"step-{step:07d}"
    assert told.splitlines()[-1] == (
        f"stopped by {signal.Signals(number).name} after step {step}; the same words go on from {last}"
    )
    assert "Traceback" not in told
    about = train(read_config(words(tokens, output)))
    assert about["result"]["steps_after_resume"] == STEPS - step
    assert_same(output, unharmed)


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[models.run.Run], object]) -> None:
    original = models.run.Run.launch

    def launch(self: models.run.Run, data: Any) -> Any:
        if self.step == step:
            act(self)
        return original(self, data)

    monkeypatch.setattr(models.run.Run, "launch", launch)


def send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


def test_checkpoints_by_the_clock_change_no_bit(
    tokens: Path, unharmed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after every step, SIGTERM between, and on from there."""
    output = tmp_path / "model"
    run = read_config(words(tokens, output, "--checkpoint-minutes", "1e-9"))
    saved: list[int] = []
    original = models.run.Run.save
    monkeypatch.setattr(models.run.Run, "save", lambda self: (saved.append(self.step), original(self)))
    with monkeypatch.context() as patch:
        at_step(patch, 7, lambda _: send(signal.SIGTERM))
        with pytest.raises(Stopped):
            train(run)
    assert saved == [1, 2, 3, 4, 5, 6, 7, 8]
    train(run)
    assert saved[8:] == list(range(9, STEPS + 1))
    assert_same(output, unharmed)


def test_the_clock_begins_anew_after_each_checkpoint(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """15 minutes by default, counted from the start and from each checkpoint, whatever it was written for."""
    now = [0.0]
    monkeypatch.setattr(models.run.time, "monotonic", lambda: now[0])
    saved: list[int] = []
    monkeypatch.setattr(models.run.Run, "save", lambda self: saved.append(self.step))
    original = models.run.Run.launch

    def launch(self: models.run.Run, data: Any) -> Any:
        now[0] += 300.0
        return original(self, data)

    monkeypatch.setattr(models.run.Run, "launch", launch)
    monkeypatch.setitem(LADDER, "4M", Rung("4M", width=16, heads=2, layers=1))
    train(read_config(words(tokens, tmp_path / "a")))
    assert saved == [*range(3, STEPS, 3), STEPS]
    saved.clear()
    train(read_config(words(tokens, tmp_path / "b", "--checkpoint-every", "4")))
    assert saved == [n for n in range(3, STEPS + 1) if n % 4 in (0, 3)]
    saved.clear()
    train(read_config(words(tokens, tmp_path / "c", "--checkpoint-minutes", "0")))
    assert saved == [STEPS]


def test_a_validation_that_is_due_where_a_run_stops_is_made_up(
    tokens: Path, unharmed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = read_config(words(tokens, tmp_path / "m", "--evaluate-every", "8"))
    with monkeypatch.context() as patch:
        at_step(patch, 7, lambda _: send(signal.SIGTERM))
        with pytest.raises(Stopped) as stopped:
            train(run)
    assert stopped.value.number == signal.SIGTERM
    about = train(run)
    assert [row["step"] for row in about["result"]["validations"]] == [8, 16, 24, 32]
    assert_same(tmp_path / "m", unharmed)


def test_a_signal_in_the_last_step_ends_nothing(
    tokens: Path, unharmed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_step(monkeypatch, STEPS - 1, lambda _: send(signal.SIGTERM))
    assert train(read_config(words(tokens, tmp_path / "m")))["result"]["steps"] == STEPS
    assert_same(tmp_path / "m", unharmed)


def test_a_second_ctrl_c_ends_a_run_at_once(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    at_step(monkeypatch, 5, lambda _: send(signal.SIGINT, signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        main(words(tokens, tmp_path / "m"))
    assert ended.value.code == 130
    assert "stopped by SIGINT at once; the same words go on from the last" in capsys.readouterr().err
    assert not checkpoints(tmp_path / "m/checkpoints")
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_the_first_step_says_how_it_goes_on(
    number: int,
    tokens: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(models.run.Run, "build", lambda _: send(number))
    with pytest.raises(SystemExit) as ended:
        main(words(tokens, tmp_path / "m"))
    assert ended.value.code == 128 + number
    assert f"stopped by {signal.Signals(number).name} at once" in capsys.readouterr().err


def test_what_a_process_was_told_to_ignore_stays_ignored() -> None:
    request = StopRequest(alone=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts what stands before its &
    try:
        with handled(*SIGNALS, by=request.note):
            send(signal.SIGINT)
            assert request.number is None
            send(signal.SIGTERM)
        assert request.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_of_several_processes_one_ctrl_c_may_come_twice() -> None:
    request = StopRequest(alone=False)
    with handled(*SIGNALS, by=request.note):
        send(signal.SIGINT, signal.SIGINT, signal.SIGTERM)
    assert request.number == signal.SIGINT


def test_two_trainers_do_not_write_into_one_folder(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(37, "No locks available")

    run = read_config(words(tokens, tmp_path, "--steps", "2"))
    with locked(tmp_path), pytest.raises(ModelError, match=r"another process trains into .* now; wait"):
        train(run)
    monkeypatch.setattr("models.resume.fcntl.flock", no_locks)
    assert train(run)["result"]["steps"] == 2
    assert "can't be locked (No locks available)" in capsys.readouterr().err
