"""How an operator is held to its reference: the same inputs, a random upstream gradient, every gradient
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
#: Relative error in the 2-norm that a dtype's rounding explains; bfloat16's unit is 2^-9 = 2e-3.
BOUNDS = {torch.float32: 3e-6, torch.bfloat16: 6e-3}
# The interpreter computes with NumPy, which has no bfloat16.
DTYPES = [torch.float32, torch.bfloat16] if DEVICE == "cuda" else [torch.float32]
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def random(*shape: int, dtype: torch.dtype = torch.float32, scale: float = 1.0) -> Tensor:
    return (torch.randn(*shape) * scale).to(DEVICE, dtype).requires_grad_()


def error(found: Tensor, expected: Tensor) -> float:
    """||found - expected|| / ||expected||, in float64; nan never passes a `<`."""
    found, expected = found.double(), expected.double()
    return ((found - expected).norm() / expected.norm()).item()


def assert_same(
    operator: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Sequence[Tensor],
    bound: float,
) -> None:
    """Outputs and input gradients agree; the reference runs in float64 on the same numbers."""
    wide = [x.detach().double().requires_grad_() for x in inputs]
    narrow = [x.detach().clone().requires_grad_() for x in inputs]
    poison = torch.full((1 << 20,), float("nan"), device=DEVICE)  # memory a kernel forgets to write holds NaN
    del poison
    outputs = [x * 1 for x in narrow]  # not leaves: an operator may change its input
    found, expected = _tuple(operator(*outputs)), _tuple(reference(*wide))
    upstream = [torch.randn_like(x) for x in expected]
    torch.autograd.backward(found, [g.to(y.dtype) for g, y in zip(upstream, found, strict=True)])
    torch.autograd.backward(
        expected, [g.to(y.dtype).to(g.dtype) for g, y in zip(upstream, found, strict=True)]
    )
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert error(a, b) < bound, f"output {i}"
    for i, (a, b) in enumerate(zip(narrow, wide, strict=True)):
        assert a.grad is not None
        assert b.grad is not None
        assert error(a.grad, b.grad) < bound, f"gradient of input {i}"


def _tuple(value: Any) -> tuple[Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)
