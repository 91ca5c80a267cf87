"""Each operator beside the same in PyTorch, compiled, and beside Liger-Kernel, in one run.

    python -m kernels.bench                       # on a GPU; all operators at the shapes of two rungs
    python -m kernels.bench --rungs 1B --operators feed_forward,linear_cross_entropy

One JSON object a row: median milliseconds forward and with the backward pass, the ratio of the latter to
`plain`, peak memory beyond the inputs, and the error: the largest relative 2-norm error of an output or a
gradient against float32 PyTorch. Ways: `ours`; `plain`, the reference under torch.compile; `liger`, the
package liger-kernel where it is installed (written for 0.8.5). bfloat16.

Attention is measured by `python -m models.bench attention`, whole steps by `python -m models.bench rungs`.
Shape suffixes: N tokens, D width, F hidden width, H heads, K head width, V vocabulary.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kernels import feed_forward as ff
from kernels import linear_cross_entropy as lce
from kernels import rms_norm, rope, swiglu

EPS = 1e-6
PEER = importlib.util.find_spec("liger_kernel") is not None


@dataclass(frozen=True)
class Shape:
    """What an operator is measured at: B x T tokens of a decoder."""

    name: str
    sequences: int
    window: int
    width: int
    heads: int
    hidden: int
    vocabulary: int

    @property
    def tokens(self) -> int:
        """N."""
        return self.sequences * self.window

    @property
    def head_width(self) -> int:
        """K."""
        return self.width // self.heads


#: The inputs of a case as leaves; outputs are a tensor or several.
Way = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """An operator: its inputs, the ways to compute it, and its reference, which runs in float32 too."""

    name: str
    inputs: Sequence[Tensor]
    reference: Way
    ways: dict[str, Way]


def cases(shape: Shape, dtype: torch.dtype, device: str) -> Iterator[Case]:
    """All operators at a shape, made one after the other: they don't fit a card's memory together."""

    def random(*size: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(*size, device=device, dtype=dtype) * scale).requires_grad_()

    N, D, F, V = shape.tokens, shape.width, shape.hidden, shape.vocabulary
    yield _add_rms_norm([random(N, D), random(N, D), random(D)])
    yield _split_rotate(shape, random(N, 3 * D), device)
    yield _swiglu([random(N, 2 * F)])
    yield _feed_forward([random(N, D), random(2 * F, D, scale=D**-0.5), random(D, F, scale=F**-0.5)])
    targets_N = torch.randint(V, (N,), device=device)
    yield _linear_cross_entropy([random(N, D), random(V, D, scale=D**-0.5)], targets_N)


def _add_rms_norm(inputs: list[Tensor]) -> Case:
    def reference(x: Tensor, delta: Tensor, weight: Tensor) -> Any:
        return rms_norm.add_rms_norm_reference(x, delta, weight, EPS)

    ways: dict[str, Way] = {"ours": lambda x, d, w: rms_norm.add_rms_norm(x, d, w, EPS)}
    if PEER:
        from liger_kernel.ops import LigerFusedAddRMSNormFunction  # noqa: PLC0415

        ways["liger"] = lambda x, d, w: LigerFusedAddRMSNormFunction.apply(x, d, w, EPS)[::-1]
    return Case("add_rms_norm", inputs, reference, ways)


def _split_rotate(shape: Shape, qkv_NG: Tensor, device: str) -> Case:
    H, K = shape.heads, shape.head_width
    cos_TK, sin_TK = rope.rotations(shape.window, K, 10_000.0, torch.device(device))

    def reference(qkv: Tensor) -> Any:
        return rope.split_rotate_reference(qkv, cos_TK, sin_TK, H, H, None)

    # Each gets a projection's output that nothing else needs, as in the decoder; ours works inside it.
    ways: dict[str, Way] = {"ours": lambda qkv: rope.split_rotate(qkv, cos_TK, sin_TK, H, H, None)}
    if PEER:
        from liger_kernel.ops import LigerRopeFunction  # noqa: PLC0415

        cos, sin = (torch.cat((x, x), 1)[None].to(qkv_NG.dtype) for x in (cos_TK, sin_TK))

        def peer(qkv: Tensor) -> Any:
            q, k, v = qkv.view(-1, shape.window, 3 * H, K).split(H, dim=2)
            q, k = LigerRopeFunction.apply(q.transpose(1, 2), k.transpose(1, 2), cos, sin)
            return q.transpose(1, 2), k.transpose(1, 2), v

        ways["liger"] = peer
    return Case("split_rotate", [qkv_NG], reference, ways)


def _swiglu(inputs: list[Tensor]) -> Case:
    # Liger's takes gate and up one after the other, not in turn.
    return Case("swiglu", inputs, swiglu.swiglu_reference, {"ours": swiglu.swiglu})


def _feed_forward(inputs: list[Tensor]) -> Case:
    ways: dict[str, Way] = {"ours": ff.feed_forward}
    if PEER:
        from liger_kernel.ops.swiglu import LigerFusedGateUpSiLUMulFunction  # noqa: PLC0415

        def peer(x: Tensor, gate_up_2FD: Tensor, down: Tensor) -> Tensor:
            halves = torch.cat((gate_up_2FD[0::2], gate_up_2FD[1::2]))  # gate and up one after the other
            y: Tensor = LigerFusedGateUpSiLUMulFunction.apply(x @ halves.T) @ down.T
            return y

        ways["liger"] = peer
    return Case("feed_forward", inputs, ff.feed_forward_reference, ways)


class _Loss(torch.autograd.Function):
    """Our loss as an operator of autograd's, to be measured and checked like the others."""

    @staticmethod
    def forward(ctx: Any, h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, scale: Tensor) -> Tensor:
        sink_VD = torch.zeros(weight_VD.shape, dtype=torch.float32, device=h_ND.device)
        loss, dh_ND = lce.linear_cross_entropy(h_ND, weight_VD, targets_N, scale, 0.0, sink_VD)
        ctx.save_for_backward(dh_ND, sink_VD)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        dh_ND, dweight_VD = ctx.saved_tensors
        return dh_ND * upstream, (dweight_VD * upstream).to(dh_ND.dtype), None, None


def _linear_cross_entropy(inputs: list[Tensor], targets_N: Tensor) -> Case:
    scale = torch.tensor(1.0 / targets_N.numel(), device=targets_N.device)

    def reference(h: Tensor, weight: Tensor) -> Tensor:
        return lce.linear_cross_entropy_reference(h, weight, targets_N, scale)[0]

    ways: dict[str, Way] = {"ours": lambda h, w: _Loss.apply(h, w, targets_N, scale)}
    if PEER:
        from liger_kernel.ops import LigerFusedLinearCrossEntropyFunction  # noqa: PLC0415

        # float32 sums of the weight's gradient, as ours are.
        ways["liger"] = lambda h, w: LigerFusedLinearCrossEntropyFunction.apply(
            h, w, targets_N, None, None, -100, 0.0, 0.0, "mean", None, False, torch.float32
        )[0]
    return Case("linear_cross_entropy", inputs, reference, ways)


def results(way: Way, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Outputs, then the gradients of their sum."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    outputs = _tuple(way(*(x * 1 for x in leaves)))  # not leaves: an operator may change its input
    found = [y.detach().clone() for y in outputs]
    torch.autograd.backward(outputs, [torch.ones_like(y) for y in outputs])
    return found + [x.grad for x in leaves if x.grad is not None]


def errors(case: Case) -> dict[str, float]:
    """The largest relative error of each way, and of the reference in the inputs' dtype."""
    wide = [x.detach().float() for x in case.inputs]
    expected = results(case.reference, wide)
    found = {}
    for name, way in ({"plain": case.reference} | case.ways).items():
        pairs = zip(results(way, case.inputs), expected, strict=True)
        found[name] = max(((a.float() - b).norm() / b.norm()).item() for a, b in pairs)
    return found


def _tuple(value: Any) -> tuple[Tensor, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def rows(case: Case, shape: Shape) -> Iterator[dict[str, Any]]:
    """A row for each way; its error first, so that no wrong result is timed."""
    from triton.testing import do_bench  # noqa: PLC0415

    error = errors(case)
    base = float("nan")
    for name, way in ({"plain": torch.compile(case.reference, dynamic=False)} | case.ways).items():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        outputs = _tuple(way(*case.inputs))
        upstream = [torch.ones_like(y) for y in outputs]
        del outputs

        def whole(way: Way = way, upstream: Sequence[Tensor] = upstream) -> None:
            torch.autograd.backward(_tuple(way(*case.inputs)), upstream)

        forward = do_bench(lambda way=way: way(*case.inputs), warmup=20, rep=100, return_mode="median")
        both = do_bench(whole, warmup=20, rep=100, return_mode="median", grad_to_none=list(case.inputs))
        base = both if name == "plain" else base
        yield {
            "operator": case.name, "rung": shape.name, "way": name, "tokens": shape.tokens,
            "dtype": str(case.inputs[0].dtype).removeprefix("torch."), "forward_ms": round(forward, 3),
            "with_backward_ms": round(both, 3), "times_plain": round(base / both, 2),
            "peak_gb": round((torch.cuda.max_memory_allocated() - before) / 1e9, 2),
            "error": float(f"{error[name]:.2g}"),
        }  # fmt: skip


def main() -> None:
    """The command line."""
    from models.ladder import LADDER, VOCABULARY, WINDOW  # noqa: PLC0415 - numbers only

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rungs", default="150M,1B")
    parser.add_argument("--operators", help="names, by commas; left out, all")
    parser.add_argument("--sequences", type=int, default=8, help="windows of 2,048 tokens")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("kernels.bench measures a GPU, and there is none here")
    if not PEER:
        print("liger-kernel is not installed: no rows of the peer", file=sys.stderr)
    for name in arguments.rungs.split(","):
        rung = LADDER[name]
        shape = Shape(
            name, arguments.sequences, WINDOW, rung.width, rung.heads, rung.hidden_width, VOCABULARY
        )
        for case in cases(shape, torch.bfloat16, "cuda"):
            if arguments.operators is None or case.name in arguments.operators.split(","):
                for row in rows(case, shape):
                    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
