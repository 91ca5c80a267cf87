"""FlashAttention-4 as it is called here, beside plain attention; without its package (a GPU's), a stand-in
with the same two functions.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from models import flash_attention_4
from models.attention import attend, choose_backend, packing
from models.errors import ModelError

REAL = torch.cuda.is_available() and flash_attention_4.installed()
DEVICE, DTYPE = ("cuda", torch.bfloat16) if REAL else ("cpu", torch.float32)


class StandIn:
    """The package's interface in plain PyTorch, document by document."""

    @staticmethod
    def _attend(q: Tensor, k: Tensor, v: Tensor, scale: float, boundaries: Tensor | None) -> Tensor:
        if boundaries is None:
            return attend(q, k, v, None, "math", scale)
        parts = [slice(a, b) for a, b in itertools.pairwise(boundaries.tolist())]
        return torch.cat([attend(q[None, p], k[None, p], v[None, p], None, "math", scale)[0] for p in parts])

    def _flash_attn_fwd(self, q: Tensor, k: Tensor, v: Tensor, **said: Any) -> tuple[Tensor, ...]:
        assert said["causal"]
        return self._attend(q, k, v, said["softmax_scale"], said["cu_seqlens_q"]), q.new_zeros(1), q, q, q

    def _flash_attn_bwd(self, *given: Any, **said: Any) -> None:
        q, k, v, _, dy, _, scale, causal = given
        assert causal
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in (q, k, v)]
            y = self._attend(*leaves, scale, said["cu_seqlens_k"])
            gradients = torch.autograd.grad(y, leaves, dy)
        for name, gradient in zip(("dq", "dk", "dv"), gradients, strict=True):
            said[name].copy_(gradient)


@pytest.fixture
def _interface(monkeypatch: pytest.MonkeyPatch) -> None:
    if not REAL:
        monkeypatch.setattr(flash_attention_4, "_interface", StandIn)


@pytest.mark.usefixtures("_interface")
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("key_heads", [4, 2])
def test_output_and_gradients_are_those_of_plain_attention(apart: bool, key_heads: int) -> None:
    torch.manual_seed(3)
    heads, width = 4, 24
    qkv = torch.randn(2, 96, heads + 2 * key_heads, width, device=DEVICE, dtype=DTYPE)
    upstream = torch.randn(2, 96, heads, width, device=DEVICE, dtype=DTYPE)
    documents = torch.tensor([[0] * 30 + [1] * 66, [2] * 96], device=DEVICE)
    pack = packing(documents) if apart else None

    def run(backend: str) -> list[Tensor]:
        parts = qkv.split((heads, key_heads, key_heads), dim=2)
        q, k, v = (x.detach().requires_grad_() for x in parts)
        y = attend(q, k, v, pack, backend, width**-0.5)
        return [y, *torch.autograd.grad(y, (q, k, v), upstream)]

    bound = 1e-2 if REAL else 1e-5
    for found, expected in zip(run("flash4"), run("math"), strict=True):
        assert ((found - expected).float().norm() / expected.float().norm()).item() < bound


@pytest.mark.usefixtures("_interface")
def test_its_gradients_lie_side_by_side() -> None:
    qkv = torch.randn(1, 16, 6, 32, device=DEVICE, dtype=DTYPE)
    q, k, v = (x.detach().requires_grad_() for x in qkv.split((2, 2, 2), dim=2))
    y = attend(q, k, v, None, "flash4", 1.0)
    dq, dk, dv = torch.autograd.grad(y, (q, k, v), torch.ones_like(y))
    assert dq.untyped_storage().data_ptr() == dk.untyped_storage().data_ptr()
    assert [x.storage_offset() for x in (dq, dk, dv)] == [0, 2 * 32, 4 * 32]


@pytest.mark.skipif(flash_attention_4.installed(), reason="the package is installed here")
def test_without_the_package_the_choice_names_the_remedy() -> None:
    x = torch.zeros(1, 4, 1, 8)
    with pytest.raises(ModelError, match=r"flash-attn-4.*pip install '\.\[hopper\]'"):
        attend(x, x, x, None, "flash4", 1.0)


def test_a_cpu_can_not_run_it() -> None:
    with pytest.raises(ModelError, match="flash4 needs a GPU"):
        choose_backend("flash4", torch.device("cpu"), masked=True, width=64)


def test_a_head_width_that_it_computes_wrongly_is_refused() -> None:
    with pytest.raises(ModelError, match="wrong gradients for heads of 48"):
        choose_backend("flash4", torch.device("cuda"), masked=False, width=48)
