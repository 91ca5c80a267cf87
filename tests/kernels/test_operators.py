"""Each operator against its plain PyTorch reference in float64: outputs and every gradient, odd shapes among
them.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="the kernels need Triton, which exists for Linux only")

from kernels import linear_cross_entropy as lce
from kernels.adamw import adamw
from kernels.adamw_reference import adamw_reference
from kernels.feed_forward import feed_forward, feed_forward_reference
from kernels.launch import available
from kernels.linear import embedding, linear, linear_reference
from kernels.rms_norm import add_rms_norm, add_rms_norm_reference
from kernels.rope import QK_NORM_EPS, rotations, split_rotate, split_rotate_reference
from kernels.swiglu import swiglu, swiglu_reference
from tests.kernels.cases import BOUNDS, DEVICE, assert_same, dtypes, error, random


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(7)


def wide(reference: Any, **fixed: Any) -> Any:
    """A reference as a function of its tensors; its float32 casts must not narrow the float64 inputs."""
    return functools.partial(reference, **fixed)


@pytest.fixture(autouse=True)
def _references_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """The references say `.float()` where the kernels compute wide; here that keeps float64 as it is."""
    plain = Tensor.float
    monkeypatch.setattr(Tensor, "float", lambda x: x if x.dtype == torch.float64 else plain(x))


@dtypes
@pytest.mark.parametrize(("rows", "width"), [(5, 63), (7, 100), (3, 768)])
@pytest.mark.parametrize("with_delta", [True, False])
def test_add_rms_norm(rows: int, width: int, with_delta: bool, dtype: torch.dtype) -> None:
    x, delta, weight = (
        random(rows, width, dtype=dtype),
        random(rows, width, dtype=dtype),
        random(width, dtype=dtype),
    )
    if with_delta:
        assert_same(
            lambda x, d, w: add_rms_norm(x, d, w, 1e-6),
            lambda x, d, w: add_rms_norm_reference(x, d, w, 1e-6),
            [x, delta, weight], BOUNDS[dtype],
        )  # fmt: skip
    else:
        assert_same(
            lambda x, w: add_rms_norm(x, None, w, 1e-6)[1],
            lambda x, w: add_rms_norm_reference(x, None, w, 1e-6)[1],
            [x, weight], BOUNDS[dtype],
        )  # fmt: skip


def test_norms_of_small_numbers_have_their_epsilon() -> None:
    """Squares of its own size, forward and backward, of rows and of heads."""
    x, delta = random(4, 63, scale=1e-3), random(4, 63, scale=1e-3)
    assert_same(
        lambda x, d, w: add_rms_norm(x, d, w, 1e-6)[1],
        lambda x, d, w: add_rms_norm_reference(x, d, w, 1e-6)[1],
        [x, delta, random(63)], BOUNDS[torch.float32],
    )  # fmt: skip
    assert QK_NORM_EPS == 1e-6
    heads, key_heads, width = 3, 1, 42
    cos, sin = rotations(5, width, 10_000.0, torch.device(DEVICE))

    def run(function: Any, qkv: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        return tuple(function(qkv, cos.to(qkv.dtype), sin.to(qkv.dtype), heads, key_heads, weights))

    inputs = [random(10, (heads + 2 * key_heads) * width, scale=1e-3), random(width), random(width)]
    assert_same(
        functools.partial(run, split_rotate),
        functools.partial(run, split_rotate_reference),
        inputs,
        BOUNDS[torch.float32],
    )


@dtypes
@pytest.mark.parametrize(("rows", "hidden"), [(3, 63), (2, 1024), (2, 2000)])
def test_swiglu(rows: int, hidden: int, dtype: torch.dtype) -> None:
    assert_same(swiglu, swiglu_reference, [random(rows, 2 * hidden, dtype=dtype, scale=3.0)], BOUNDS[dtype])


@dtypes
@pytest.mark.parametrize(("rows", "width", "hidden"), [(3, 64, 128), (131, 72, 264), (300, 200, 520)])
@pytest.mark.parametrize("sinks", [False, True])
def test_feed_forward(rows: int, width: int, hidden: int, sinks: bool, dtype: torch.dtype) -> None:
    """Tiles cut off at every side; several tiles a program; a sink that holds something already."""
    inputs = [
        random(rows, width, dtype=dtype, scale=2.0),
        random(2 * hidden, width, dtype=dtype, scale=width**-0.5),
        random(width, hidden, dtype=dtype, scale=hidden**-0.5),
    ]
    if not sinks:
        assert_same(feed_forward, feed_forward_reference, inputs, BOUNDS[dtype])
        return
    x, gate_up, down = inputs
    held = [torch.randn_like(w, dtype=torch.float32) for w in (gate_up, down)]
    found = [h.clone() for h in held]
    upstream = torch.randn(rows, width, device=DEVICE)
    feed_forward(x, gate_up, down, *found).backward(upstream.to(dtype))
    assert gate_up.grad is None
    assert down.grad is None
    wide = [w.detach().double().requires_grad_() for w in inputs]
    feed_forward_reference(*wide).backward(upstream.to(dtype).double())
    for sink, before, w in zip(found, held, wide[1:], strict=True):
        assert error(sink - before, w.grad) < BOUNDS[dtype]


@pytest.mark.skipif(DEVICE == "cpu", reason="without a GPU it is the only way, and tested above")
@dtypes
def test_feed_forward_by_triton_alone(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels.feed_forward.available", lambda *_: False)
    shapes = ((300, 200, 2.0), (1040, 200, 200**-0.5), (200, 520, 520**-0.5))
    inputs = [random(*size, dtype=dtype, scale=scale) for *size, scale in shapes]
    assert_same(feed_forward, feed_forward_reference, inputs, BOUNDS[dtype])


@pytest.mark.skipif(DEVICE == "cpu", reason="QuACK's products run on Hopper GPUs")
@pytest.mark.parametrize(("rows", "inner", "columns"), [(3, 64, 128), (300, 200, 520), (1000, 768, 2304)])
def test_a_product_by_quack(rows: int, inner: int, columns: int) -> None:
    """Its tiles cut off at every side; weights as they lie, and transposed."""
    pytest.importorskip("quack", reason="needs the package quack-kernels")
    from kernels import hopper  # noqa: PLC0415 - where there is one

    x, weight = (random(n, inner, dtype=torch.bfloat16).detach() for n in (rows, columns))
    if not available(x, columns):
        pytest.skip("no Hopper GPU")
    exact = x.double() @ weight.double().T
    assert error(hopper.product(x, weight), exact) < BOUNDS[torch.bfloat16]
    assert error(hopper.product(x, weight.T.contiguous().T), exact) < BOUNDS[torch.bfloat16]
    logits, log_z = hopper.logits(x, weight)
    assert error(logits, exact) < BOUNDS[torch.bfloat16]
    assert error(log_z.logsumexp(-1), exact.logsumexp(-1)) < 1e-5


def test_feed_forward_where_its_tiles_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels.feed_forward.fusible", lambda *_: False)
    inputs = [random(5, 24), random(2 * 40, 24), random(24, 40)]
    assert_same(feed_forward, feed_forward_reference, inputs, BOUNDS[torch.float32])


@dtypes
@pytest.mark.parametrize(("heads", "key_heads", "width"), [(3, 3, 64), (4, 2, 42), (2, 1, 96)])
@pytest.mark.parametrize("normed", [False, True])
def test_split_rotate(heads: int, key_heads: int, width: int, normed: bool, dtype: torch.dtype) -> None:
    B, T = 2, 9
    cos, sin = rotations(T, width, 10_000.0, torch.device(DEVICE))
    inputs = [random(B * T, (heads + 2 * key_heads) * width, dtype=dtype)]
    if normed:
        inputs += [random(width, dtype=dtype), random(width, dtype=dtype)]

    def run(function: Any, qkv: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        angles = (cos, sin) if qkv.dtype != torch.float64 else (cos.double(), sin.double())
        return tuple(function(qkv, *angles, heads, key_heads, weights or None))

    assert_same(
        functools.partial(run, split_rotate),
        functools.partial(run, split_rotate_reference),
        inputs,
        BOUNDS[dtype] * (1 if dtype == torch.float32 else 1.5),  # a normed head is rounded twice
    )


def test_gradients_that_lie_side_by_side_are_turned_in_place() -> None:
    """The same numbers, as parts of one tensor and each on its own."""
    B, T, heads, key_heads, width = 2, 9, 4, 2, 48
    cos, sin = rotations(T, width, 10_000.0, torch.device(DEVICE))
    together = torch.randn(B, T, heads + 2 * key_heads, width, device=DEVICE)
    found = []
    for apart in (True, False):
        qkv = torch.zeros(B * T, (heads + 2 * key_heads) * width, device=DEVICE, requires_grad=True)
        parts = together.clone().split((heads, key_heads, key_heads), dim=2)
        upstream = [x.contiguous() for x in parts] if apart else parts
        torch.autograd.backward(split_rotate(qkv * 1, cos, sin, heads, key_heads, None), upstream)
        assert torch.equal(parts[0], together[:, :, :heads]) == apart  # turned there, or left alone
        found.append(qkv.grad)
    assert error(found[1], found[0]) < BOUNDS[torch.float32]


@dtypes
def test_split_rotate_of_padded_heads(dtype: torch.dtype) -> None:
    """Heads of 42 in rows of 48: what lies beyond is zero, its gradient too."""
    heads, T, K, wide = 3, 5, 42, 48
    cos, sin = rotations(T, K, 10_000.0, torch.device(DEVICE))
    qkv = torch.nn.functional.pad(random(2 * T, 3 * heads, K, dtype=dtype).detach(), (0, wide - K)).flatten(1)
    parts = split_rotate(qkv.clone(), cos, sin, heads, heads, None)
    narrow = qkv.view(2 * T, -1, wide)[..., :K].double().flatten(1).requires_grad_()
    expected = split_rotate_reference(narrow, cos.double(), sin.double(), heads, heads, None)
    for a, b in zip(parts, expected, strict=True):
        assert error(a[..., :K], b) < BOUNDS[dtype]
        assert (a[..., K:] == 0).all()
    leaf = qkv.clone().requires_grad_()
    upstream = [torch.randn_like(x) for x in parts]
    torch.autograd.backward(split_rotate(leaf * 1, cos, sin, heads, heads, None), upstream)
    torch.autograd.backward(expected, [g[..., :K].double() for g in upstream])
    assert leaf.grad is not None
    gradient = leaf.grad.view(2 * T, -1, wide)
    assert error(gradient[..., :K].flatten(1), narrow.grad) < BOUNDS[dtype]
    assert (gradient[..., K:] == 0).all()


def test_rotations_turn_by_position_and_rate() -> None:
    cos, sin = rotations(5, 8, 10_000.0, torch.device("cpu"))
    for t in range(5):
        for k in range(4):
            angle = torch.tensor(t * 10_000.0 ** (-2 * k / 8))
            assert cos[t, k].item() == pytest.approx(angle.cos().item(), abs=1e-6)
            assert sin[t, k].item() == pytest.approx(angle.sin().item(), abs=1e-6)


@dtypes
@pytest.mark.parametrize("vocabulary", [130, 5000])
@pytest.mark.parametrize("z", [0.0, 0.01])
def test_linear_cross_entropy(
    vocabulary: int, z: float, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lce, "CHUNK", 4)  # several chunks, the last one short
    N, D = 11, 24
    targets = torch.randint(vocabulary, (N,), device=DEVICE)
    targets[[0, 5]] = lce.IGNORED
    h, weight = random(N, D, dtype=dtype), random(vocabulary, D, dtype=dtype, scale=0.5)
    scale = torch.tensor(1 / 9, device=DEVICE)
    # Of the gradient's size: beside a larger number float32 would round the gradient away.
    held = torch.randn_like(weight, dtype=torch.float32) * 1e-3
    sink = held.clone()
    loss, dh = lce.linear_cross_entropy(h, weight, targets, scale, z, sink)
    wide = [x.detach().double().requires_grad_() for x in (h, weight)]
    both, alone = lce.linear_cross_entropy_reference(*wide, targets, scale.double(), z)
    both.backward()
    assert error(dh, wide[0].grad) < BOUNDS[dtype]
    assert error(sink - held, wide[1].grad) < BOUNDS[dtype]
    assert loss.item() == pytest.approx(alone.item(), rel=BOUNDS[dtype])
    each = lce.token_losses(h.detach(), weight.detach(), targets)
    assert (each.double().sum() * scale.double()).item() == pytest.approx(alone.item(), rel=BOUNDS[dtype])
    assert each[0] == each[5] == 0


def test_the_loss_from_parts_of_log_z() -> None:
    """The same losses, log Z and gradients as from the logits alone."""
    logits, targets = random(5, 1000, scale=4.0).detach(), torch.tensor([1, 999, lce.IGNORED, 0, 7])
    parts = torch.stack([x.logsumexp(-1) for x in logits.split(192, dim=1)], 1)
    scale, found = torch.tensor(0.2, device=DEVICE), []
    for given in (None, parts):
        gradient = logits.clone()
        found.append((*lce.cross_entropy_(gradient, targets.to(DEVICE), scale, 0.01, True, given), gradient))
    for a, b in zip(*found, strict=True):
        assert error(b, a) < BOUNDS[torch.float32]
    assert (found[1][2][2] == 0).all()


def test_huge_logits_stay_finite() -> None:
    h = torch.full((3, 4), 100.0, device=DEVICE)
    weight = random(40, 4, scale=30.0)
    targets = torch.tensor([1, 2, 3], device=DEVICE)
    one = torch.ones((), device=DEVICE)
    sink = torch.zeros_like(weight, requires_grad=False)
    loss, dh = lce.linear_cross_entropy(h, weight, targets, one, 0.0, sink)
    expected, _ = lce.linear_cross_entropy_reference(h, weight.detach(), targets, one)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert dh.isfinite().all()
    assert sink.isfinite().all()


@dtypes
def test_linear_and_embedding_add_to_their_sinks(dtype: torch.dtype) -> None:
    x, weight, upstream = (
        random(16, 24, dtype=dtype),
        random(40, 24, dtype=dtype),
        random(16, 40, dtype=dtype),
    )
    assert_same(linear, linear_reference, [x, weight], BOUNDS[dtype])
    sink = torch.ones(40, 24, device=DEVICE)
    linear(x, weight, sink).backward(upstream.detach())
    assert weight.grad is None
    assert error(sink - 1, upstream.detach().double().T @ x.detach().double()) < 3e-6
    ids = torch.tensor([3, 3, 0, 39], device=DEVICE)
    table, up = random(40, 24, dtype=dtype), random(4, 24, dtype=dtype).detach()
    before = sink.clone()
    out = embedding(ids, table, sink)
    assert torch.equal(out, table[ids])
    out.backward(up)
    expected = torch.zeros(40, 24, device=DEVICE, dtype=torch.float64).index_add(0, ids, up.double())
    assert error(sink - before, expected) < BOUNDS[dtype]


@pytest.mark.parametrize(("with_copy", "eps"), [(True, 1e-8), (False, 1e-8), (True, 0.5)])
def test_adamw(with_copy: bool, eps: float) -> None:
    size = 5000  # more than one block, the last one short
    copy_type = torch.bfloat16 if DEVICE == "cuda" else torch.float32
    state = {
        name: [
            torch.randn(size, device=DEVICE),
            0.1 * torch.randn(size, device=DEVICE),
            torch.rand(size, device=DEVICE),
        ]
        for name in ("fused",)
    }["fused"]
    gradient = torch.randn(size, device=DEVICE)
    for taken in (1.0, 0.0):
        control = torch.tensor([0.3, taken, 0.19, 0.0975], device=DEVICE)
        results = []
        for function in (adamw, adamw_reference):
            buffers = [x.clone() for x in (*state, gradient)]
            copy = torch.full((size,), float("nan"), device=DEVICE, dtype=copy_type) if with_copy else None
            function(*buffers, copy, control, 1e-2, 0.9, 0.95, eps, 0.05)
            results.append([*buffers, *([copy] if copy is not None else [])])
        for a, b in zip(*results, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, equal_nan=True)
        assert (results[0][3] == 0).all()
        assert torch.equal(results[0][0], state[0]) == (taken == 0)


@pytest.mark.parametrize("eps", [1e-8, 0.5])  # the second counts beside the root, wherever it stands
def test_the_adamw_reference_is_torchs_adamw(eps: float) -> None:
    torch.manual_seed(1)
    parameter = torch.nn.Parameter(torch.randn(50))
    theirs = torch.optim.AdamW([parameter], lr=3e-3, betas=(0.9, 0.95), eps=eps, weight_decay=0.1)
    master, moment, square = parameter.detach().clone(), torch.zeros(50), torch.zeros(50)
    for t in range(1, 6):
        gradient = torch.randn(50)
        parameter.grad = gradient.clone()
        theirs.step()
        control = torch.tensor([1.0, 1.0, 1 - 0.9**t, 1 - 0.95**t])
        adamw_reference(master, moment, square, gradient, None, control, 3e-3, 0.9, 0.95, eps, 0.1)
    torch.testing.assert_close(master, parameter.detach(), rtol=1e-6, atol=1e-7)
