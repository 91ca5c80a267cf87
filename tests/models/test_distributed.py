"""Two processes over gloo on a CPU against one: the same losses, norms and weights to 1e-5, checkpoints that
fit both, and a stop at the same step.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from models.data import END
from models.state import checkpoints
from werp.tokens import tokenize

#: Of `4M`, the smallest published rung; float32. z-loss and accumulation are on, so that their scale is
#: tested too.
STEPS = 10
SETTINGS = ["--rung", "4M", "--window", "32", "--batch-size", "8", "--micro-batch", "2", "--steps",
            str(STEPS), "--learning-rate", "3e-3", "--z-loss", "1e-3", "--device", "cpu"]  # fmt: skip
ENTRIES = 12_000


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With so many entries that the gradient has two million numbers, of which one float32 sum of squares
    loses some: by how many depends on how they are shared out.
    """
    folder = tmp_path_factory.mktemp("distributed")
    words = {END: 0, **{f"w{i}": i for i in range(1, ENTRIES)}}
    tokenizer = Tokenizer(WordLevel(words, unk_token="w1"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.rand(60, 50, generator=generator) ** 4 * (ENTRIES - 1)).long() + 1
    texts = [" ".join(f"w{i}" for i in row) for row in drawn.tolist()]
    (folder / "shards").mkdir()
    pq.write_table(pa.table({"text": texts}), folder / "shards/a.parquet")
    tokenize(folder, folder / "tokens", folder / "tokenizer.json")
    return folder / "tokens"


def command(tokens: Path, output: Path, processes: int, *extra: str) -> list[str]:
    start = [sys.executable, "-m"]
    if processes > 1:
        start += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    return [*start, "models.train", "--tokens", str(tokens), "--output", str(output), *SETTINGS, *extra]


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def run(tokens: Path, output: Path, processes: int, *extra: str) -> None:
    words = command(tokens, output, processes, *extra)
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-3000:]


def logged(output: Path, key: str) -> list[float]:
    return [json.loads(line)[key] for line in (output / "metrics.jsonl").read_text().splitlines()]


def assert_same_run(first: Path, second: Path) -> None:
    for key in ("loss", "gradient_norm"):
        assert logged(first, key) == pytest.approx(logged(second, key), rel=1e-5), key
    a, b = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    assert a.keys() == b.keys()
    for name, x in a.items():
        assert (x - b[name]).norm() <= 1e-5 * x.norm(), name


@pytest.fixture(scope="module")
def alone(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("alone") / "model"
    run(tokens, output, 1, "--checkpoint-every", "5")
    assert logged(output, "loss")[-1] < logged(output, "loss")[0] - 0.2
    return output


def test_whole_copies_follow_one_process_and_stop_together(tokens: Path, alone: Path, tmp_path: Path) -> None:
    """Stopped by torchrun, and gone on with; the first one's clock wishes a checkpoint in every step."""
    output = tmp_path / "ddp"
    process = subprocess.Popen(
        command(tokens, output, 2, "--checkpoint-minutes", "1e-9", "--keep", "99"),
        env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    metrics = output / "metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=120)
    assert process.returncode not in (0, None)  # torchrun's own
    step = len(logged(output, "loss"))
    assert 0 < step < STEPS
    folders = checkpoints(output / "checkpoints")
    assert folders[-1].name == f"step-{step:07d}"
    assert told.count("stopped by SIGTERM") == 1
    assert f"stopped by SIGTERM after step {step}; the same words go on from {folders[-1]}\n" in told
    run(tokens, output, 2, "--checkpoint-minutes", "1e-9", "--keep", "99")
    assert json.loads((output / "config.json").read_text())["result"]["steps_after_resume"] == STEPS - step
    # What the first process's clock wishes in one step is done by all after the next.
    every = {int(folder.name[5:]) for folder in checkpoints(output / "checkpoints")}
    assert len(every) >= STEPS // 2
    assert_same_run(alone, output)
    # To the bit: whole copies sum the same two numbers.
    whole = tmp_path / "whole"
    run(tokens, whole, 2)
    both = [(folder / "model.safetensors").read_bytes() for folder in (output, whole)]
    assert both[0] == both[1]
    assert logged(output, "loss") == logged(whole, "loss")


def test_shards_follow_one_process_and_one_process_goes_on_from_them(
    tokens: Path, alone: Path, tmp_path: Path
) -> None:
    output = tmp_path / "fsdp"
    run(tokens, output, 2, "--parallel", "fsdp", "--checkpoint-every", "5")
    assert_same_run(alone, output)
    files = sorted(path.name for path in (output / "checkpoints/step-0000005").glob("state-*"))
    assert files == ["state-00000-of-00002.safetensors", "state-00001-of-00002.safetensors"]
    # As if killed after step 5: one process takes up what two had written, and two what one had.
    for name, source, processes in (("one", output, 1), ("two", alone, 2)):
        cut = tmp_path / name
        shutil.copytree(source, cut)
        (cut / "config.json").unlink()
        shutil.rmtree(cut / "checkpoints/step-0000010")
        run(tokens, cut, processes, *(["--parallel", "fsdp"] if processes == 2 else []))
        assert json.loads((cut / "config.json").read_text())["result"]["steps_after_resume"] == 5
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
