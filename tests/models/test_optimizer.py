"""The flat optimizer against torch's AdamW with clipping, and Muon against singular value decomposition."""

from __future__ import annotations

import itertools

import pytest
import torch

from models.decoder import Decoder
from models.engine import Engine, EngineOptions, plain_losses
from models.flat import FlatParameters
from models.ladder import Rung
from models.muon import orthogonalize, parts
from models.optimizer import OptimizerOptions
from models.prefetch import StepBatch

RUNG = Rung("tiny", width=24, heads=2, layers=2, kv_heads=1, qk_norm=True)


def batch(step: int) -> StepBatch:
    ids = torch.randint(64, (3, 17), generator=torch.Generator().manual_seed(step))
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


def test_the_step_is_torchs_adamw_after_clipping() -> None:
    torch.manual_seed(0)
    model = Decoder(RUNG, 64)
    torch.manual_seed(0)
    theirs = Decoder(RUNG, 64)
    options = OptimizerOptions(weight_decay=0.1, clip=0.5, spike=0)
    engine = Engine(model, EngineOptions("plain"), options)
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    for step in range(5):
        rate = 1e-2 / (step + 1)
        now = batch(step)
        engine.accumulate(now, torch.tensor(1 / 48))
        outcome = engine.update(rate)
        loss = plain_losses(theirs, now.tokens, now.targets, None)[0].mean()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        assert outcome.loss.item() == pytest.approx(loss.item(), rel=1e-5)
        assert outcome.norm.item() == pytest.approx(norm.item(), rel=1e-4)
    for (name, ours), other in zip(model.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-6, msg=name)


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
