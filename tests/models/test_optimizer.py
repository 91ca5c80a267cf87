"""The flat optimizer against torch's AdamW with clipping and torch's Muon, its norm against float64."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from models.decoder import Decoder
from models.engine import IGNORED, Engine, EngineOptions, plain_losses
from models.flat import FlatParameters
from models.ladder import Rung
from models.muon import orthogonalize, parts
from models.norm import norm
from models.optimizer import HISTORY, Optimizer, OptimizerOptions
from models.prefetch import StepBatch

RUNG = Rung("tiny", width=24, heads=2, layers=2, kv_heads=1, qk_norm=True)


def batch(step: int) -> StepBatch:
    ids = torch.randint(60, (3, 17), generator=torch.Generator().manual_seed(step))
    return StepBatch(ids[:, :-1], ids[:, 1:], None)


def test_flat_parameters_are_the_models_and_lie_apart() -> None:
    torch.manual_seed(0)
    model = Decoder(RUNG, 64)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    flat = FlatParameters(model)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.untyped_storage().data_ptr() == flat.master.untyped_storage().data_ptr()
    ends = [(span.begin, span.begin + span.size) for span in flat.spans]
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(ends))
    assert all(begin % 128 == 0 for begin, _ in ends)
    for span in flat.spans:
        assert (span.begin < flat.matrices) == (span.name.startswith("blocks.") and len(span.shape) == 2)


def test_the_norm_of_sixty_million_numbers_is_that_of_float64() -> None:
    """In one float32 sum half a hundredth of it is lost."""
    generator = torch.Generator().manual_seed(0)
    for size in (57_123_456, 4096, 4095, 1, 0):
        x = torch.randn(size, generator=generator)
        x[: size // 9] *= 100
        assert norm(x).dtype == torch.float32
        assert norm(x).item() == pytest.approx(x.double().norm().item(), rel=1e-6)


def test_the_optimizer_logs_and_clips_by_the_norm_of_float64() -> None:
    size = 8_000_000
    flat = FlatParameters(torch.nn.ParameterDict({"x": torch.nn.Parameter(torch.zeros(size))}))
    optimizer = Optimizer(flat, RUNG, OptimizerOptions(spike=0))
    flat.gradient.normal_(generator=torch.Generator().manual_seed(1))
    exact = flat.gradient.double().norm().item()
    outcome = optimizer.step(torch.tensor(1.0), 1e-3)
    assert outcome.norm.item() == pytest.approx(exact, rel=2e-7)
    # A tenth of what clipping leaves: the first step's moment.
    assert optimizer.moment.double().norm().item() == pytest.approx(0.1, rel=1e-6)


class Peer:
    """The same decoder trained by torch's optimizers: AdamW on all, or Muon on each matrix of a block."""

    def __init__(self, model: Decoder, muon: bool, clip: float, decay: float) -> None:
        self.model, self.clip = Decoder(RUNG, 64), clip
        self.model.load_state_dict(model.state_dict())
        self.pieces: dict[str, list[torch.nn.Parameter]] = {}
        others = []
        for name, parameter in self.model.named_parameters():
            if muon and name.startswith("blocks.") and parameter.dim() == 2:
                copies = [x.detach().clone().contiguous() for x in parts(name, parameter, RUNG)]
                self.pieces[name] = [torch.nn.Parameter(x) for x in copies]
            else:
                others.append(parameter)
        self.adamw = torch.optim.AdamW(others, lr=0, betas=(0.9, 0.95), eps=1e-8, weight_decay=decay)
        self.all: list[torch.optim.Optimizer] = [self.adamw]
        if muon:
            flat = [piece for pieces in self.pieces.values() for piece in pieces]
            self.all.append(torch.optim.Muon(flat, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))

    def step(self, now: StepBatch, rate: float) -> tuple[float, float]:
        """Loss and gradient norm."""
        loss = plain_losses(self.model, now.tokens, now.targets, None)[0].mean()
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        for name, pieces in self.pieces.items():
            whole = parts(name, grad(self.model.get_parameter(name)), RUNG)
            for piece, gradient in zip(pieces, whole, strict=True):
                piece.grad = gradient.contiguous()
        for optimizer in self.all:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        for name, pieces in self.pieces.items():
            for piece, there in zip(pieces, parts(name, self.model.get_parameter(name), RUNG), strict=True):
                there.data.copy_(piece.data)
        self.model.zero_grad()
        return loss.item(), length.item()


@pytest.mark.parametrize("clip", [0.5, 100.0])
@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_the_step_is_torchs_after_clipping(clip: float, kind: str) -> None:
    """One gradient in between is a spike: it is skipped, and nothing of it is counted."""
    torch.manual_seed(0)
    model = Decoder(RUNG, 64)
    first = {name: p.detach().clone() for name, p in model.named_parameters()}
    peer = Peer(model, kind == "muon", clip, decay=5.0)
    options = OptimizerOptions(name=kind, weight_decay=5.0, clip=clip)
    engine = Engine(model, EngineOptions("plain"), options)
    engine.optimizer.guard.load(settled())
    near = 1e-4 if kind == "adamw" else 3e-2  # torch's Muon multiplies in bfloat16
    for step in range(5):
        rate = 1e-2 / (step + 1)
        if step == 2:
            engine.accumulate(batch(step), torch.tensor(100 / 48))
            assert not engine.update(rate).taken
        engine.accumulate(batch(step), torch.tensor(1 / 48))
        outcome = engine.update(rate)
        assert outcome.taken
        assert (outcome.loss.item(), outcome.norm.item()) == pytest.approx(
            peer.step(batch(step), rate), rel=near
        )
    for name, ours in model.named_parameters():
        other = peer.model.get_parameter(name)
        assert (ours - other).norm() < near * (other - first[name]).norm(), name
        if kind == "adamw":
            torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-6, msg=name)
            square = engine.state()[f"square/{name}"]
            torch.testing.assert_close(square, peer.adamw.state[other]["exp_avg_sq"], rtol=1e-3, atol=1e-12)
    unseen = model.embedding.weight[60:], peer.model.embedding.weight[60:]  # in no text: decay alone
    torch.testing.assert_close(*unseen, rtol=1e-5, atol=1e-7)
    assert unseen[0].norm() < 0.95 * first["embedding.weight"][60:].norm()


def grad(parameter: torch.Tensor) -> torch.Tensor:
    assert parameter.grad is not None
    return parameter.grad


def settled() -> dict[str, torch.Tensor]:
    """A guard that has seen 40 steps of losses and norms like those below, and counted none for Adam."""
    history = torch.zeros(2, HISTORY, dtype=torch.float64)
    history[0, :40] = 4.2 + torch.linspace(-0.3, 0.3, 40, dtype=torch.float64)
    history[1, :40] = 1.0 + torch.linspace(-0.9, 0.9, 40, dtype=torch.float64)
    return {"taken": torch.tensor(0), "seen": torch.tensor(40), "history": history}


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_skipped_step_changes_nothing_and_a_state_is_taken_up_whole(kind: str) -> None:
    torch.manual_seed(0)
    engine, other = (
        Engine(Decoder(RUNG, 64), EngineOptions("plain", bfloat16=True), OptimizerOptions(name=kind))
        for _ in range(2)
    )
    for step in range(2):
        engine.accumulate(batch(step), torch.tensor(1 / 48))
        engine.update(1e-2)
    before = {name: x.clone() for name, x in engine.state().items()}
    engine.accumulate(batch(2), torch.tensor(float("inf")))
    assert not engine.update(1e-2).taken
    assert (engine.flat.gradient == 0).all()
    other.load(before)
    for found in (engine.state(), other.state()):
        assert found.keys() == before.keys()
        for name, x in found.items():
            assert torch.equal(x, before[name]), name
    for x in (engine, other):
        assert torch.equal(x.flat.weights, x.flat.master.bfloat16())


def test_z_loss_counts_positions_with_a_target_alone() -> None:
    torch.manual_seed(0)
    model = Decoder(RUNG, 64)
    now = dataclasses.replace(batch(0), targets=batch(0).targets.clone())
    now.targets[:, ::3] = IGNORED
    here = now.targets != IGNORED
    scale = 1 / here.sum()
    engine = Engine(model, EngineOptions("plain", z_loss=0.1), OptimizerOptions())
    engine.accumulate(now, scale)
    found = {name: grad(p).clone() for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=False)
    log_p = model(now.tokens).double().log_softmax(-1)
    log_z = model(now.tokens).double().logsumexp(-1)
    chosen = log_p[here].gather(1, now.targets[here][:, None])
    (-chosen.mean() + 0.1 * log_z[here].square().mean()).backward()
    for name, parameter in model.named_parameters():
        assert (found[name] - grad(parameter)).norm() < 1e-5 * grad(parameter).norm(), name


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_muon_finds_the_nearest_half_orthogonal_matrix(shape: tuple[int, int]) -> None:
    torch.manual_seed(2)
    x = torch.randn(shape)
    y = orthogonalize(x)
    singular = torch.linalg.svdvals(y)
    assert singular.min() > 0.6
    assert singular.max() < 1.3
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    polar = u @ v
    assert (y * polar).sum() / (y.norm() * polar.norm()) > 0.97


def test_muon_takes_fused_matrices_apart() -> None:
    qkv = torch.arange(48.0 * 24).view(48, 24)
    assert [x.shape[0] for x in parts("blocks.0.attention.qkv.weight", qkv, RUNG)] == [24, 12, 12]
    gate, up = parts("blocks.0.hidden.gate_up.weight", qkv, RUNG)
    assert gate.shape == up.shape == (24, 24)
    assert len(parts("blocks.0.attention.out.weight", qkv, RUNG)) == 1


def test_a_muon_step_moves_each_matrix_by_its_rate() -> None:
    torch.manual_seed(0)
    model = Decoder(RUNG, 64)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    engine = Engine(model, EngineOptions("plain"), OptimizerOptions(name="muon", weight_decay=0.0))
    engine.accumulate(batch(0), torch.tensor(1 / 48))
    engine.update(1e-2)
    for name, parameter in model.named_parameters():
        moved = (parameter - before[name]).detach()
        if name.startswith("blocks.") and parameter.dim() == 2:
            for piece in parts(name, moved, RUNG):
                singular = torch.linalg.svdvals(piece) / (1e-2 * 0.2 * max(piece.shape) ** 0.5)
                assert 0.3 < singular.median() < 1.3, name
        else:
            assert 0 < moved.abs().max() <= 1.001e-2, name  # AdamW's first step: the rate, by sign
