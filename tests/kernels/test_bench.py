"""The bench's cases compute what their references do, at shapes the interpreter can take."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton", reason="the kernels need Triton, which exists for Linux only")

from kernels.bench import Shape, cases, errors
from tests.kernels.cases import BOUNDS, DEVICE

TINY = Shape("tiny", sequences=2, window=16, width=48, heads=3, hidden=64, vocabulary=130)


def test_every_way_is_right() -> None:
    torch.manual_seed(5)
    dtype = torch.bfloat16 if DEVICE == "cuda" else torch.float32
    found = {case.name: errors(case) for case in cases(TINY, dtype, DEVICE)}
    assert set(found) == {
        "add_rms_norm", "split_rotate", "swiglu", "feed_forward", "linear_cross_entropy",
    }  # fmt: skip
    for name, ways in found.items():
        for way, error in ways.items():
            assert error < 2 * BOUNDS[dtype], (name, way)
