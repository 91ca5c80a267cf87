"""What a decoder of `transformers` does with positions, found out by running it on a few tokens.

Done on the CPU, where a look-up beyond a table is an error: on a GPU it ends the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

LENGTH = 6


@dataclass(frozen=True)
class Positions:
    """given: whether positions can be given, and 0, 1, 2, ... are those that the model counts itself.

    table: positions that it has, where it looks them up; None where it works them out.
    causal: whether no token sees those after it.
    """

    given: bool
    table: int | None
    causal: bool


@dataclass
class _LookUps(TorchFunctionMode):
    """Notes tables in which consecutive places are looked up, and how many come from the first one on."""

    found: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.embedding:
            where, table = args[0].flatten(), args[1]
            first = int(where[0])
            if where.tolist() == list(range(first, first + LENGTH)):
                self.found.append(len(table) - first)
        return func(*args, **(kwargs or {}))


def examine(model: Any, window: int, tolerance: float) -> Positions:
    """Run a model that lies on the CPU; see Positions.

    window: positions that its configuration names. tolerance: in spreads of the logits.
    """
    special = {getattr(model.config, f"{name}_token_id", None) for name in ("pad", "bos", "eos")}
    one = next(number for number in range(4) if number not in special)
    beyond = torch.full((1, 1), window)
    fixed = False
    with torch.inference_mode():
        try:
            model(input_ids=torch.full((1, 1), one), position_ids=beyond, use_cache=False)
        except (IndexError, RuntimeError):  # a table, learned or not, that ends there
            fixed = True
        except (TypeError, ValueError):
            pass  # takes no positions
        with _LookUps() as tables:  # one token all along, so that only positions differ
            model(input_ids=torch.full((1, LENGTH), one), use_cache=False)
        ids = (torch.arange(LENGTH) + one)[None] % model.config.vocab_size
        own = model(input_ids=ids, use_cache=False).logits.float()
        short = model(input_ids=ids[:, : LENGTH // 2], use_cache=False).logits.float()
        places = torch.arange(LENGTH)[None]
        try:
            counted = model(input_ids=ids, position_ids=places, use_cache=False).logits.float()
        except (TypeError, ValueError, IndexError, RuntimeError):
            counted = None
    near = tolerance * max(1.0, own.std().item())

    def same(a: Tensor, b: Tensor) -> bool:
        return bool((a - b).abs().max() <= near)

    rows = [*tables.found, *([window] if fixed else [])]
    return Positions(
        given=counted is not None and same(counted, own),
        table=min(rows, default=None),
        causal=same(short, own[:, : LENGTH // 2]),
    )
