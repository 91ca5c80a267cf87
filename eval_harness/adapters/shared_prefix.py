"""Lets a decoder run rows after a prefix whose keys and values are kept, without knowing the decoder.

Every attention layer of a decoder ends in `scaled_dot_product_attention`. While `Kept` or `After` is active
that one call is taken over, in the order of the layers: `Kept` keeps the keys and values it sees, `After`
puts them before the row's own and sets the mask of a tree. Positions are the caller's business, for they
are turned into keys and queries before the call. A decoder that does not attend this way gives other
numbers than its plain forward pass; `agrees` finds that out when a model is loaded.

Shape suffixes: B rows, T tokens of a row, P of the prefix, S = P + T, H heads, K head width, N predictions,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from eval_harness.model import Rows

#: Predictions whose logits are held at once: 2,048 x 50,304 in float32 are 412 MB.
CHUNK = 2048
Pair = tuple[Tensor, Tensor]
#: Hidden states (B, T, D) from ids and positions, and the head from (N, D) to logits (N, V).
Forward = Callable[[Tensor, Tensor, "Tensor | None"], Tensor]
Head = Callable[[Tensor], Tensor]


class _Attention(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **kwargs)
        named = dict(
            zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False)
        )
        return self.attend(func, **{**named, **kwargs})

    def attend(self, func: Any, query: Tensor, key: Tensor, value: Tensor, **rest: Any) -> Tensor:
        raise NotImplementedError


class Kept(_Attention):
    """Keeps each layer's keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[Pair] = []

    def attend(self, func: Any, query: Tensor, key: Tensor, value: Tensor, **rest: Any) -> Tensor:
        """Attend as asked, and remember."""
        self.layers.append((key, value))
        y_BHTK: Tensor = func(query, key, value, **rest)
        return y_BHTK


class After(_Attention):
    """Puts kept keys and values before a row's own, under a tree's mask (B, 1, T, S)."""

    def __init__(self, layers: Sequence[Pair], mask_B1TS: Tensor) -> None:
        super().__init__()
        self.layers, self.mask, self.at = layers, mask_B1TS, 0

    def attend(self, func: Any, query: Tensor, key: Tensor, value: Tensor, **rest: Any) -> Tensor:
        """Attend over prefix and row; causality is in the mask."""
        if self.layers:
            kept_k, kept_v = self.layers[self.at]
            self.at += 1
            B, groups = key.shape[0], key.shape[1] // kept_k.shape[1]
            if groups > 1:  # heads that a library repeats when there is a mask, and shares when there is none
                kept_k, kept_v = (x.repeat_interleave(groups, dim=1) for x in (kept_k, kept_v))
            key = torch.cat((kept_k.expand(B, -1, -1, -1), key), dim=2)
            value = torch.cat((kept_v.expand(B, -1, -1, -1), value), dim=2)
        rest |= {"attn_mask": self.mask, "is_causal": False}
        y_BHTK: Tensor = func(query, key, value, **rest)
        return y_BHTK


def tree_mask(branches_BT: Tensor, prefix: int) -> Tensor:
    """Bool (B, 1, T, S): true where a token may look. A place after a row's end sees itself alone."""
    B, T = branches_BT.shape
    on, of = branches_BT[:, None, :], branches_BT[:, :, None]
    own = ((on == 0) | (on == of)) & torch.ones(T, T, dtype=torch.bool, device=on.device).tril()
    mask_BTT = torch.where(of >= 0, own, torch.eye(T, dtype=torch.bool, device=on.device))
    seen_BTP = torch.ones(B, T, prefix, dtype=torch.bool, device=on.device)
    return torch.cat((seen_BTP, mask_BTT), dim=2)[:, None]


def run_prefix(forward: Forward, tokens: Sequence[int], device: torch.device) -> list[Pair]:
    """Each layer's keys and values (1, H, P, K) of a prefix."""
    ids_1P = torch.tensor([list(tokens)], device=device)
    positions_1P = torch.arange(len(tokens), device=device)[None]
    with torch.inference_mode(), Kept() as kept:
        forward(ids_1P, positions_1P, None)
    layers: list[Pair] = kept.layers
    return layers


def run_rows(
    forward: Forward, head: Head, prefix: Sequence[Pair] | None, rows: Rows, device: torch.device, trees: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Log-probabilities of a batch's targets and whether each was the likeliest token.

    trees: False for a decoder that can only run plain causal rows; they have no prefix and no branches.
    """
    tokens_BT = torch.from_numpy(rows.tokens_BT).to(device)
    positions_BT = torch.from_numpy(rows.positions_BT).to(device)
    with torch.inference_mode():
        if trees:
            layers = prefix or []
            P = layers[0][0].shape[2] if layers else 0
            mask_B1TS = tree_mask(torch.from_numpy(rows.branches_BT).to(device), P)
            with After(layers, mask_B1TS):
                h_BTD = forward(tokens_BT, positions_BT, mask_B1TS)
        else:
            h_BTD = forward(tokens_BT, positions_BT, None)
        where = torch.from_numpy(rows.rows_N).to(device), torch.from_numpy(rows.columns_N).to(device)
        return read(h_BTD[where], torch.from_numpy(rows.targets_N).to(device), head)


def read(h_ND: Tensor, targets_N: Tensor, head: Head) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Log-probabilities of the targets, softmax in float32, some predictions at a time."""
    log_p, top = [], []
    for start in range(0, len(targets_N), CHUNK):
        h_nD, targets_n = h_ND[start : start + CHUNK], targets_N[start : start + CHUNK]
        logits_nV = head(h_nD).float()
        own_n = logits_nV.gather(1, targets_n[:, None])[:, 0]
        log_p.append(own_n - logits_nV.logsumexp(1))
        top.append(logits_nV.argmax(1) == targets_n)
    return torch.cat(log_p).double().cpu().numpy(), torch.cat(top).cpu().numpy()


def agrees(forward: Forward, head: Head, vocabulary: int, device: torch.device, tolerance: float) -> bool:
    """Whether rows after a kept prefix give a tree's paths the logits of plain forward passes."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (24,), generator=generator).to(device)
    prefix, trunk, one, two = ids[:9], ids[9:14], ids[14:20], ids[20:]
    try:
        layers = run_prefix(forward, prefix.tolist(), device)
        row_1T = torch.cat((trunk, one, two))[None]
        places = [*range(9, 14), *range(14, 20), *range(14, 18)]
        branches = [0] * 5 + [1] * 6 + [2] * 4
        mask = tree_mask(torch.tensor([branches], device=device), 9)
        with torch.inference_mode():
            with After(layers, mask):
                tree = head(forward(row_1T, torch.tensor([places], device=device), mask)[0]).float()
            plain = []
            for branch in (one, two):
                path = torch.cat((prefix, trunk, branch))[None]
                at = torch.arange(path.shape[1], device=device)[None]
                plain.append(head(forward(path, at, None)[0]).float())
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False  # not a decoder of this kind: it is scored row by row
    expected = torch.cat((plain[0][9:], plain[1][14:]))
    spread = expected.std().item()
    return bool(layers) and bool((tree - expected).abs().max() <= tolerance * max(1.0, spread))
