"""The checkpoint adapter against a from-scratch computation, and the whole command line."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from eval_harness.adapters.checkpoint import CheckpointModel
from eval_harness.errors import EvalError
from models.checkpoint import load_checkpoint, save_checkpoint
from models.decoder import Decoder
from models.ladder import Rung
from tests.models.folders import token_folder

CONTEXT = "Question: What causes sound?\nAnswer:"
CHOICES = [" vibrations", " sun", " a long continuation of many more bytes"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("adapter")
    tokens = token_folder(
        root, ["Question: What causes sound?\nAnswer: vibrations of the air"] * 9, vocab_size=290
    )
    torch.manual_seed(0)
    model = Decoder(Rung("tiny", width=16, heads=2, layers=2), 384)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_checkpoint(
        root / "model", model, (tokens / "tokenizer.json").read_bytes(), {"train": {"window": 64}}
    )
    return root / "model"


def test_scores_equal_a_walk_over_single_tokens(folder: Path) -> None:
    checkpoint = load_checkpoint(folder)
    expected = []
    for choice in CHOICES:
        ids, total = checkpoint.tokenizer.encode(CONTEXT).ids, 0.0
        for token in checkpoint.tokenizer.encode(choice).ids:
            logits = checkpoint.model(torch.tensor([ids]))[0, -1].double()
            total += (logits[token] - logits.exp().sum().log()).item()
            ids = [*ids, token]
        assert checkpoint.tokenizer.decode(ids) == CONTEXT + choice
        assert ids == checkpoint.tokenizer.encode(CONTEXT + choice).ids  # apart or together, the same tokens
        expected.append(total)
    assert len({round(value, 3) for value in expected}) == 3
    assert CheckpointModel(folder).score(CONTEXT, CHOICES) == pytest.approx(expected, abs=1e-4)


def test_a_score_does_not_depend_on_its_neighbours(folder: Path) -> None:
    model = CheckpointModel(folder)
    together = model.score(CONTEXT, CHOICES)
    alone = [model.score(CONTEXT, [choice])[0] for choice in CHOICES]
    assert together == pytest.approx(alone, abs=1e-4)


def test_an_empty_continuation_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="empty"):
        CheckpointModel(folder).score(CONTEXT, [" a", ""])


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"--model .*config\.json: no such file"):
        CheckpointModel(tmp_path)


def test_the_command_line_scores_a_checkpoint_without_spark(folder: Path, tmp_path: Path) -> None:
    rows = [
        {
            "split": split,
            "id": str(i),
            "question": f"Number {i}?",
            "choices": ["a", "b", "c", "d"],
            "gold": i % 4,
        }
        for i, split in enumerate(["test"] * 12 + ["validation"] * 3)
    ]
    with gzip.open(tmp_path / "arc_easy.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    code = "import sys; sys.modules['pyspark'] = None; from eval_harness.__main__ import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "run",
        "--model",
        str(folder),
        "--data",
        str(tmp_path),
        "--limit",
        "8",
    ]
    scores = tmp_path / "scores.json"
    done = subprocess.run([*command, "--output", str(scores)], capture_output=True, text=True, check=True)
    assert "chance 25.0%" in done.stdout
    written = json.loads(scores.read_text())
    assert written["schema"] == "eval_harness.scores.v1"
    task = written["tasks"]["arc_easy"]
    assert (task["n"], task["limit"], task["shots"], task["version"], task["split"]) == (8, 8, 0, 1, "test")
    assert set(task["scores"]) == {"raw", "per_character"}
    assert written["model"]["longest_prompt"] < written["model"]["window"] == 64
    failed = subprocess.run(
        [*command, "--tasks", "arc_easi", "--output", str(scores)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    assert failed.stderr == "error: --tasks: 'arc_easi' is no task (did you mean arc_easy?)\n"
