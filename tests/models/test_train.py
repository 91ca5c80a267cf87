"""The trainer: it learns, repeats itself, stops on NaN, and its checkpoint is the model."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch.nn import functional

import models.run
from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import TrainConfig, read_config
from models.data import Tokens, token_bytes
from models.decoder import Decoder
from models.engine import plain_losses
from models.errors import ModelError
from models.ladder import LADDER, Rung
from models.optimizer import SpikeGuard
from models.prefetch import StepBatch
from models.progress import Reporter
from models.schedule import learning_rate
from models.state import checkpoints, read_state
from models.train import summary, train
from models.validation import validate
from tests.models.folders import same_tokenizer, token_folder

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

    def losses_of(batch: StepBatch) -> torch.Tensor:
        documents = batch.pack.documents_BT if batch.pack else None
        return plain_losses(checkpoint.model, batch.tokens, batch.targets, documents)[0]

    found = validate(losses_of, [data], window, 10_000, lengths, torch.device("cpu"), rows=2)
    (stretch,) = data.stretches  # one document of 20 is held out
    held_out = data.tokens[stretch.cut : stretch.end].astype(np.int64)
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
        train(config(tokens, tmp_path, learning_rate=1e30, warmup=0, force=True))
    assert losses(tmp_path)  # of the steps before
    with pytest.raises(ModelError, match="no such file"):  # nor is the older run's taken for this one's
        load_checkpoint(tmp_path)


def test_a_time_budget_ends_the_run(tokens: Path, tmp_path: Path) -> None:
    # How many steps fit is the machine's; in a model that knows its text by heart the guard would have a say.
    about = train(config(tokens, tmp_path, steps=None, seconds=1.0, spike=0.0))
    assert 0.9 <= about["result"]["seconds"] < 10
    assert about["result"]["steps"] == len(losses(tmp_path)) > 1
    assert "epochs" in summary(about)


def test_wsd_stays_and_comes_down_over_the_last_fifth() -> None:
    assert learning_rate(0.05, 2.0, 0.1, "wsd") == pytest.approx(1.0)
    assert learning_rate(0.3, 2.0, 0.1, "wsd") == learning_rate(0.79, 2.0, 0.1, "wsd") == 2.0
    assert learning_rate(0.9, 2.0, 0.1, "wsd") == pytest.approx(2.0 * (0.01 + 0.99 / 2))
    assert learning_rate(1.0, 2.0, 0.1, "wsd") == pytest.approx(0.02)


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int, run: TrainConfig) -> None:
    """Train until step `at`, where an error ends it; only the checkpoint under way is still finished."""

    class Killed(BaseException):
        pass

    original = models.run.Run.launch

    def launch(self: Any, data: Any) -> Any:
        if self.step == at:
            raise Killed
        return original(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(models.run.Run, "launch", launch)
        with pytest.raises(Killed):
            train(run)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_killed_run_ends_with_the_same_bytes(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    changes = {
        "steps": 12,
        "checkpoint_every": 4,
        "evaluate_every": 4,
        "optimizer": optimizer,
        "micro_batch": 3,
    }
    whole = train(config(tokens, tmp_path / "whole", **changes))
    run = config(tokens, tmp_path / "cut", **changes)
    interrupted(monkeypatch, 10, run)
    assert len(losses(tmp_path / "cut")) >= 9
    assert [c.name for c in checkpoints(tmp_path / "cut/checkpoints")] == ["step-0000004", "step-0000008"]
    with (tmp_path / "cut/metrics.jsonl").open("a") as file:
        file.write('[1]\n{"step": 11, "lo')  # no row, and a line cut short
    with (tmp_path / "cut/metrics.jsonl").open("ab") as file:
        file.write(b"\xff\x00")  # a power cut
    resumed = train(run)
    assert resumed["result"]["steps_after_resume"] == 4
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    both = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert both[0] == both[1]
    for key in ("validation", "validations", "last_loss", "windows_by_source"):
        assert resumed["result"][key] == whole["result"][key]


@pytest.mark.parametrize("every", [0, 2])
def test_a_run_killed_before_its_last_validation_makes_it_up(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """Every step is done and saved, so going on takes none; the final measures are still of the final
    weights.
    """
    changes = {"steps": 5, "evaluate_every": every}
    whole = train(config(tokens, tmp_path / "whole", **changes))
    original = models.run.Run.evaluate

    class Killed(BaseException):
        pass

    def evaluate(self: Any) -> Any:
        if self.step == 5:
            raise Killed
        return original(self)

    run = config(tokens, tmp_path / "cut", **changes)
    with monkeypatch.context() as patch:
        patch.setattr(models.run.Run, "evaluate", evaluate)
        with pytest.raises(Killed):
            train(run)
    resumed = train(run)
    assert resumed["result"]["steps_after_resume"] == 0
    for key in ("validation", "validations"):
        assert resumed["result"][key] == whole["result"][key]


def test_a_time_budget_that_ends_between_two_looks_at_the_clock_still_ends_in_a_validation(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([False, False])
    monkeypatch.setattr(models.run.Run, "finished", lambda self: next(looks, True))
    result = train(config(tokens, tmp_path, steps=None, seconds=1e6))["result"]
    assert [row["step"] for row in result["validations"]] == [result["steps"]] == [len(losses(tmp_path))]
    assert checkpoints(tmp_path / "checkpoints")[-1].name == f"step-{result['steps']:07d}"


def test_a_finished_run_is_trained_anew_only_when_told(tokens: Path, tmp_path: Path) -> None:
    train(config(tokens, tmp_path, steps=3, checkpoint_every=2))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert train(config(tokens, tmp_path, steps=3, checkpoint_every=1))["result"]["steps"] == 3
    for changed in ({"steps": 4}, {"steps": 3, "seed": 1}, {"steps": 3, "learning_rate": 1e-4}):
        with pytest.raises(ModelError, match=rf"holds a finished run, .* in {[*changed][-1]}; .*--force"):
            train(config(tokens, tmp_path, **changed))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert train(config(tokens, tmp_path, steps=4, force=True))["result"]["steps_after_resume"] == 4
    assert [folder.name for folder in checkpoints(tmp_path / "checkpoints")] == ["step-0000004"]


def test_what_no_run_wrote_is_not_removed(tokens: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/config.json").write_text('{"mine": 1}')
    with pytest.raises(ModelError, match=r"config\.json is not a checkpoint"):
        train(config(tokens, tmp_path / "a", steps=2, force=True))
    assert (tmp_path / "a/config.json").read_text() == '{"mine": 1}'
    (tmp_path / "b/checkpoints/another").mkdir(parents=True)
    (tmp_path / "b/checkpoints/.step-0000002.partial").mkdir()  # of a run that was killed
    train(config(tokens, tmp_path / "b", steps=2))
    assert {p.name for p in (tmp_path / "b/checkpoints").iterdir()} == {"another", "step-0000002"}
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match=r"output: .*file can't be made"):
        train(config(tokens, tmp_path / "file", steps=2))


def test_ids_of_another_tokenizer_are_refused_even_as_changed_data(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"steps": 6, "checkpoint_every": 2, "accept_changed_data": True}
    interrupted(monkeypatch, 3, config(tokens, tmp_path, **changes))
    other = token_folder(tmp_path / "other", ["what another tokenizer was trained on " * 9] * 20)
    with pytest.raises(ModelError, match="another tokenizer"):
        train(config(other, tmp_path, **changes))


def test_an_attention_that_can_not_run_is_refused_before_a_step_is_taken(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for attention in ("flash", "flash4", "cudnn", "flex"):
        with pytest.raises(ModelError, match=f"attention: {attention} is for the fused backend"):
            train(config(tokens, tmp_path, attention=attention))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ModelError, match="fused needs a GPU"):
        train(config(tokens, tmp_path, backend="fused"))
    assert not (tmp_path / "metrics.jsonl").exists()


def test_ids_beyond_the_vocabulary_are_named(tokens: Path, tmp_path: Path) -> None:
    data = Tokens.open(tokens)
    wrong = dataclasses.replace(data, tokens=np.where(np.arange(len(data.tokens)) == 9, 999, data.tokens))
    with pytest.raises(ModelError, match="id 999 is not of its 282 entries"):
        wrong.batch(np.array([0]), 24)


def test_any_checkpoint_on_the_way_can_be_loaded(tokens: Path, tmp_path: Path) -> None:
    train(config(tokens, tmp_path, steps=6, checkpoint_every=2, keep=3))
    folders = checkpoints(tmp_path / "checkpoints")
    assert [folder.name for folder in folders] == ["step-0000002", "step-0000004", "step-0000006"]
    weights = [load_checkpoint(folder).model.head.weight for folder in folders]
    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(weights[2], load_checkpoint(tmp_path).model.head.weight)


def test_resuming_refuses_other_settings_and_other_data(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"steps": 8, "checkpoint_every": 2}
    interrupted(monkeypatch, 5, config(tokens, tmp_path, **changes))
    with pytest.raises(ModelError, match=r"learning_rate 0\.01, now it is 0\.02"):
        train(config(tokens, tmp_path, learning_rate=2e-2, **changes))
    other = same_tokenizer(Tokens.open(tokens), tmp_path / "other", ["another text of some words " * 9] * 20)
    with pytest.raises(ModelError, match="--accept-changed-data"):
        train(config(other, tmp_path, **changes))
    about = train(config(other, tmp_path, accept_changed_data=True, **changes))
    assert about["result"]["steps_after_resume"] == 4


def test_a_damaged_state_is_named(tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = config(tokens, tmp_path, steps=8, checkpoint_every=3)
    interrupted(monkeypatch, 4, run)
    state = tmp_path / "checkpoints/step-0000003/state-00000-of-00001.safetensors"
    shutil.copyfile(state, tmp_path / "whole.safetensors")
    state.write_bytes(state.read_bytes()[:-7])
    with pytest.raises(ModelError, match=r"state-00000.*remove"):
        train(run)
    tensors = load_file(tmp_path / "whole.safetensors")
    del tensors["moment/head.weight"]
    save_file(tensors, state)
    with pytest.raises(ModelError, match=r"not a state of this model .*head.*remove"):
        train(run)
    (state.parent / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json: can't be read.*remove"):
        train(run)


def test_an_earlier_format_is_refused(tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights would be taken up in another order."""
    run = config(tokens, tmp_path, steps=8, checkpoint_every=3)
    interrupted(monkeypatch, 4, run)
    about = tmp_path / "checkpoints/step-0000003/config.json"
    about.write_text(about.read_text().replace("checkpoint.v2", "checkpoint.v1"))
    with pytest.raises(ModelError, match=r"step-0000003/config\.json: format 'models\.checkpoint\.v1'"):
        train(run)
    shutil.copyfile(about, tmp_path / "config.json")
    with pytest.raises(ModelError, match=r"format 'models\.checkpoint\.v1' .* elsewhere"):
        train(run)


def test_several_sources_are_logged(tokens: Path, tmp_path: Path) -> None:
    other = same_tokenizer(Tokens.open(tokens), tmp_path / "o", ["another text of some words " * 9] * 20)
    sources = [{"tokens": tokens, "weight": 1.0}, {"tokens": other, "weight": 1.0}]
    run = TrainConfig(sources=sources, output=tmp_path / "m", rung="tiny", window=24, batch_size=4, steps=5)
    about = train(run)
    row = json.loads((tmp_path / "m/metrics.jsonl").read_text().splitlines()[-1])
    assert sum(row["sources"].values()) == row["tokens"] == 5 * 4 * 24
    assert sum(about["result"]["windows_by_source"]) == 20
    assert [source["share"] for source in about["sources"]] == [0.5, 0.5]


def test_accumulated_micro_batches_are_the_batch(tokens: Path, tmp_path: Path) -> None:
    found = []
    for micro in (4, 1):
        train(config(tokens, tmp_path / str(micro), steps=6, micro_batch=micro, z_loss=1e-3))
        found.append(losses(tmp_path / str(micro)))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_bfloat16_keeps_float32_masters(tokens: Path, tmp_path: Path) -> None:
    about = train(config(tokens, tmp_path, steps=40, precision="bfloat16", checkpoint_every=40))
    assert about["result"]["last_loss"] < 2
    _, state = read_state(tmp_path / "checkpoints/step-0000040")
    name = "blocks.0.attention.qkv.weight"
    kept = load_file(tmp_path / "model.safetensors")[name]
    assert (state[f"master/{name}"].dtype, kept.dtype) == (torch.float32, torch.bfloat16)
    assert torch.equal(state[f"master/{name}"].bfloat16(), kept)
    assert not torch.equal(state[f"master/{name}"], kept.float())


def test_the_fused_step_is_the_plain_one(tokens: Path, tmp_path: Path) -> None:
    """Packed documents, accumulation, clipping and z-loss included, through the interpreter."""
    pytest.importorskip("triton", reason="the kernels need Triton, which exists for Linux only")
    found = []
    for backend in ("plain", "fused"):
        run = config(
            tokens,
            tmp_path / backend,
            steps=3,
            batch_size=2,
            micro_batch=1,
            backend=backend,
            attention="math",
            z_loss=1e-3,
        )
        train(run)
        found.append(losses(tmp_path / backend))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_the_guard_skips_a_jump_and_forgets_it() -> None:
    guard = SpikeGuard(6.0, torch.device("cpu"))
    torch.manual_seed(0)
    for _ in range(200):
        assert guard.judge(3 + 0.1 * torch.randn(()), 1 + 0.1 * torch.rand(()))
    deviation = guard.history.std(1)
    assert not guard.judge(torch.tensor(5.0), torch.tensor(1.0))  # 20 sd
    assert not guard.judge(torch.tensor(3.0), torch.tensor(9.0))
    before = guard.history.clone()
    assert not guard.judge(torch.tensor(float("nan")), torch.tensor(1.0))
    assert torch.equal(guard.history, before)
    assert (guard.history.std(1) < 1.2 * deviation).all()
    assert guard.judge(torch.tensor(3.1), torch.tensor(1.0))
    assert int(guard.taken) == 201
    young = SpikeGuard(6.0, torch.device("cpu"))
    assert all(young.judge(torch.tensor(float(x)), torch.tensor(1.0)) for x in (9, 1, 30, 2))


def test_the_guard_takes_a_level_that_stays() -> None:
    """50 standard deviations above what was: skipped at first, in the end the new measure of a spike."""
    guard = SpikeGuard(6.0, torch.device("cpu"))
    torch.manual_seed(0)
    for _ in range(200):
        guard.judge(3 + 0.1 * torch.randn(()), torch.tensor(1.0) + 0.1 * torch.rand(()))
    taken = [bool(guard.judge(8 + 0.1 * torch.randn(()), torch.tensor(1.05))) for _ in range(160)]
    assert not any(taken[:5])
    assert all(taken[models.run.MOST_SKIPPED - 1 :])
    assert not guard.judge(torch.tensor(40.0), torch.tensor(1.05))


def spoil(monkeypatch: pytest.MonkeyPatch, step: int, harm: Callable[[models.run.Run], object]) -> None:
    """Do this to a run when so many steps are done."""
    original = models.run.Run.launch

    def launch(self: models.run.Run, data: Any) -> Any:
        if self.step == step:
            harm(self)
        return original(self, data)

    monkeypatch.setattr(models.run.Run, "launch", launch)


def test_a_nan_is_stopped_with_its_batch_and_spoils_no_weight(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, 4, lambda run: run.engine.flat.gradient[7].fill_(float("nan")))
    with pytest.raises(ModelError, match=r"step 5: .*norm nan(?s:.*)tokens \d+-\d+, documents \d+-\d+"):
        train(config(tokens, tmp_path, checkpoint_every=4))
    _, state = read_state(tmp_path / "checkpoints/step-0000004")
    assert all(x.isfinite().all() for x in state.values())


def test_a_run_whose_every_step_is_skipped_stops(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that one step spoilt."""
    spoil(monkeypatch, 40, lambda run: run.engine.flat.master.mul_(20))
    with monkeypatch.context() as patch:
        patch.setattr(models.run, "MOST_SKIPPED", 4)
        with pytest.raises(ModelError, match=r"step 44: 4 steps on end were skipped.*--spike 0"):
            train(config(tokens, tmp_path / "a", steps=120))
    assert sum(json.loads(line)["skipped"] for line in (tmp_path / "a/metrics.jsonl").open()) == 3
    assert train(config(tokens, tmp_path / "a", steps=60, spike=0.0))["result"]["skipped_steps"] == 0
    mended = train(config(tokens, tmp_path / "b", steps=120))["result"]  # not for ever: training goes on
    assert 4 < mended["skipped_steps"] < 32


def test_an_evaluation_that_fails_costs_no_training(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(models.run.Run, "evaluate", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(config(tokens, tmp_path, steps=4))
    assert load_checkpoint(tmp_path / "checkpoints/step-0000004").config["rung"]["name"] == "tiny"


def test_tensorboard_events_are_written(tokens: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is an optional package")
    train(config(tokens, tmp_path, steps=2, tensorboard=True))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [round(e.value, 4) for e in events.Scalars("loss")] == [round(x, 4) for x in losses(tmp_path)]


def test_events_of_steps_that_are_trained_again_are_not_shown_twice(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is an optional package")
    run = config(tokens, tmp_path, steps=6, checkpoint_every=2, tensorboard=True)
    interrupted(monkeypatch, 4, run)
    shutil.rmtree(tmp_path / "checkpoints/step-0000004")  # as if the kill had come before it
    train(run)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4, 5, 6]


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
    edge = ["--tokens", "t", "--output", "o", "--warmup"]
    (latin := tmp_path / "latin.yaml").write_bytes(b"output: caf\xe9\n")
    (broken := tmp_path / "broken.yaml").write_text("output: [o\n")
    read = read_config(["--config", str(file), "--window", "128"])
    assert (read.window, read.learning_rate, read.tokens, read.seed) == (128, 1e-3, Path("t"), 6198)
    for arguments, message in (
        (["--tokens", "t"], "output: missing"),
        (["--output", "o"], "tokens .one folder. or sources"),
        (["--config", str(file), "--window", "x"], "--window: 'x' is not valid"),
        (["--config", str(file), "--rung", "demo-4m"], "did you mean demo-4M"),
        (["--config", str(tmp_path / "none.yaml")], r"none\.yaml: No such file or directory; give a YAML"),
        (["--config", str(tmp_path)], "Is a directory; give a YAML file"),
        (["--config", str(latin)], r"latin\.yaml: not UTF-8 text .*save it as UTF-8"),
        (["--config", str(broken)], r"broken\.yaml: can't be read as YAML: "),
        (
            ["--output", "o", "--tokens", "t", "--schedule", "wsd", "--warmup", "0.81"],
            r"warmup: 0\.81 .* last 0\.2",
        ),
        (["--output", "o", "--sources", "[{tokens"], "--sources .*can't be read as YAML"),
        (["--output", "o", "--sources", "[{tokens: a}, {tokens: a}]"], "stands there twice"),
        (["--output", "o", "--sources", "[{tokens: a}, {tokens: b/../a}]"], "stands there twice"),
        (
            ["--output", "o", "--sources", "[{tokens: a, wight: 2}]"],
            "--sources 0 wight: unknown key .did you mean weight",
        ),
        (["--config", str(file), "--per-parameter", "inf"], "--per-parameter: 'inf' is not valid"),
        (["--config", str(file), "--seed", str(1 << 63)], "--seed: .* is not valid"),
    ):
        with pytest.raises(ModelError, match=message):
            read_config(arguments)
    file.write_text("seconds: 60\ntokens: t\noutput: o\n")
    read = read_config(["--config", str(file), "--steps", "5", "--sources", "[{tokens: a, weight: 2}]"])
    assert (read.steps, read.seconds, read.tokens, read.folders, read.weights) == (
        5,
        None,
        None,
        [Path("a")],
        [2],
    )
    assert read_config([*edge, "0.8", "--schedule", "wsd"]).warmup == 0.8
    assert read_config([*edge, "0.9"]).warmup == 0.9  # cosine has no stretch of its own to come down
    file.write_text("windw: 64\n")
    with pytest.raises(ModelError, match=r"unknown key 'windw'.*did you mean window"):
        read_config(["--config", str(file)])
    file.write_text("window: 64\nwindow: 128\n")
    with pytest.raises(ModelError, match="the key window is given twice"):
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
