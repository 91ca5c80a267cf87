"""Two processes over gloo on a CPU against one: the same losses and weights to 1e-5, and checkpoints that fit
both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.models.folders import token_folder

# : Of `4M`, the smallest published rung; float32. z-loss and accumulation are on, so that their scale is
# tested too.
SETTINGS = ["--rung", "4M", "--window", "32", "--batch-size", "8", "--micro-batch", "2", "--steps", "6",
            "--learning-rate", "3e-3", "--z-loss", "1e-3", "--checkpoint-every", "3",
            "--device", "cpu"]  # fmt: skip


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [f"the cat sat on mat {i} and the dog lay by the door. " * (1 + i % 5) for i in range(60)]
    return token_folder(tmp_path_factory.mktemp("distributed"), texts)


def run(tokens: Path, output: Path, processes: int, *extra: str) -> None:
    start = [sys.executable, "-m"]
    if processes > 1:
        start += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    command = [*start, "models.train", "--tokens", str(tokens), "--output", str(output), *SETTINGS, *extra]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]


def losses(output: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (output / "metrics.jsonl").read_text().splitlines()]


def assert_same_run(first: Path, second: Path) -> None:
    assert losses(first) == pytest.approx(losses(second), rel=1e-5)
    a, b = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    assert a.keys() == b.keys()
    for name, x in a.items():
        assert (x - b[name]).norm() <= 1e-5 * x.norm(), name


@pytest.fixture(scope="module")
def alone(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("alone") / "model"
    run(tokens, output, 1)
    assert losses(output)[-1] < losses(output)[0] - 0.3
    return output


def test_whole_copies_follow_one_process(tokens: Path, alone: Path, tmp_path: Path) -> None:
    run(tokens, tmp_path / "ddp", 2)
    assert_same_run(alone, tmp_path / "ddp")


def test_shards_follow_one_process_and_one_process_goes_on_from_them(
    tokens: Path, alone: Path, tmp_path: Path
) -> None:
    output = tmp_path / "fsdp"
    run(tokens, output, 2, "--parallel", "fsdp")
    assert_same_run(alone, output)
    files = sorted(path.name for path in (output / "checkpoints/step-0000003").glob("state-*"))
    assert files == ["state-00000-of-00002.safetensors", "state-00001-of-00002.safetensors"]
    # As if killed after step 3: one process takes up what two had written, and two what one had.
    for name, source, processes in (("one", output, 1), ("two", alone, 2)):
        cut = tmp_path / name
        shutil.copytree(source, cut)
        (cut / "config.json").unlink()
        shutil.rmtree(cut / "checkpoints/step-0000006")
        run(tokens, cut, processes, *(["--parallel", "fsdp"] if processes == 2 else []))
        assert json.loads((cut / "config.json").read_text())["result"]["steps_after_resume"] == 3
        assert_same_run(alone, cut)


def test_what_shards_can_not_do_is_told(tokens: Path, tmp_path: Path) -> None:
    from models.engine import EngineOptions  # noqa: PLC0415
    from models.errors import ModelError  # noqa: PLC0415
    from models.optimizer import OptimizerOptions  # noqa: PLC0415
    from models.sharded import ShardedEngine  # noqa: PLC0415

    model = torch.nn.Linear(2, 2)
    with pytest.raises(ModelError, match="muon needs whole matrices"):
        ShardedEngine(model, EngineOptions(), OptimizerOptions(name="muon"))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="fused needs whole parameters"):
        ShardedEngine(model, EngineOptions("fused"), OptimizerOptions())  # type: ignore[arg-type]
