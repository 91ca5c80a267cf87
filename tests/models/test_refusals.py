"""What a run refuses, it refuses before its model is built; what is odd about a model is told at once."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import models.settings
from models.ladder import LADDER, Rung
from models.train import main
from tests.models.folders import token_folder


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = ["the cat sat on the mat and the dog lay by the door. " * 6 for _ in range(20)]
    return token_folder(tmp_path_factory.mktemp("refusals"), texts)


@pytest.fixture(autouse=True)
def _tiny_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LADDER, "tiny", Rung("tiny", width=16, heads=2, layers=1))


def words(tokens: Path, output: Path, *extra: str) -> list[str]:
    return ["--tokens", str(tokens), "--output", str(output), "--rung", "tiny", "--window", "24",
            "--batch-size", "2", "--steps", "4", "--device", "cpu", *extra]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("finished") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LADDER, "tiny", Rung("tiny", width=16, heads=2, layers=1))
        main(words(tokens, output, "--checkpoint-every", "2"))
    return output


def no_model(*_: Any) -> None:
    raise AssertionError("a model was built")


def unfinished(finished: Path, output: Path) -> Path:
    """As if it had been killed after step 2."""
    shutil.copytree(finished, output)
    (output / "config.json").unlink()
    shutil.rmtree(output / "checkpoints/step-0000004")
    return output


def test_refusals_come_before_the_model(
    tokens: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way to be wrong, as one line that names the key or file."""
    monkeypatch.setattr(models.settings, "Decoder", no_model)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    other = token_folder(tmp_path / "other", ["what another tokenizer was trained on " * 9] * 20)
    cut = [unfinished(finished, tmp_path / f"cut{i}") for i in range(4)]
    (cut[1] / "checkpoints/step-0000002/state.json").write_text("{")
    (cut[2] / "checkpoints/step-0000002/config.json").write_text('{"format": "models.checkpoint.v1"}')
    (cut[3] / "checkpoints/step-0000002/tokenizer.json").unlink()
    (strange := tmp_path / "strange").mkdir()
    (strange / "config.json").write_text('{"mine": 1}')
    for given, message in (
        (words(tokens, finished, "--seed", "7"), "holds a finished run, which differs in seed"),
        (words(other, finished), "holds a finished run, which differs in tokens"),
        (words(tokens, cut[0], "--seed", "7"), "had seed 6198, now it is 7"),
        (words(other, cut[0]), "the run began with other tokens"),
        (words(other, cut[0], "--accept-changed-data"), "began with another tokenizer"),
        (words(tokens, cut[1]), "state.json: can't be read"),
        (words(tokens, cut[2]), "format 'models.checkpoint.v1'"),
        (words(tokens, cut[3]), "tokenizer.json: can't be read"),
        (words(tokens, strange, "--force"), "config.json is not a checkpoint"),
        (words(tokens, tmp_path / "a", "--attention", "flash"), "attention: flash is for the fused"),
        (words(tokens, tmp_path / "a", "--backend", "fused"), "backend: fused needs a GPU"),
        (words(tokens, tmp_path / "a", "--backend", "fused", "--compile"), "compile: is for the plain"),
        (words(tokens, tmp_path / "a", "--window", "9999"), "do not fill one window of 9999"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(given)
        assert str(ended.value.code).startswith("error: "), given
        assert message in str(ended.value.code)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for extra, message in (
        (("--tensorboard",), "tensorboard is missing"),
        (("--backend", "fused"), "package triton"),
    ):
        with pytest.raises(SystemExit, match=message):
            main(words(tokens, tmp_path / "a", *extra))


def test_a_finished_run_that_is_asked_for_again_says_so_and_builds_nothing(
    tokens: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models.settings, "Decoder", no_model)
    main(words(tokens, finished, "--checkpoint-every", "3"))
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{finished}: this run is finished already; --force does it again", f"checkpoint: {finished}"
    ]  # fmt: skip
    assert "tokens/s" not in told.err


def test_a_tokenizer_that_makes_a_rung_another_size_is_told_with_the_remedy(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(words(tokens, tmp_path / "small"))
    told = " ".join(capsys.readouterr().err.split())
    entries = json.loads((tmp_path / "small/config.json").read_text())["tokens"]["vocabulary"]
    assert (
        f"warning: with the {entries:,} entries of these tokens' tokenizer tiny has 0.0 M parameters in"
        in told
    )
    assert "the 0.8 M that it has with 50,304" in told
    assert "Remedy: werp tokenize --tokenizer FILE" in told
    monkeypatch.setattr("models.train.VOCABULARY", 384)
    main(words(tokens, tmp_path / "right"))
    assert "warning" not in capsys.readouterr().err
