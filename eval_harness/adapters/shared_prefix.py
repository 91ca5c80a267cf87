"""Lets a decoder run rows after a prefix whose keys and values are kept, without knowing the decoder.

Every attention layer of a decoder ends in `scaled_dot_product_attention`. While `Kept` or `After` is active
that one call is taken over, in the order of the layers: `Kept` keeps the keys and values it sees, `After`
puts them before the row's own and sets the mask of a tree. Positions are the caller's business, for they
are turned into keys and queries before the call. A decoder that does not attend this way gives other
numbers than its plain forward pass; `agrees` finds that out when a model is loaded.

Nothing here waits for the device: the host goes on to the next batch while it works.

Shape suffixes: G prefixes, P tokens of the longest, B rows, T tokens of a row, S = P + T, H heads, K head
width, N predictions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from eval_harness.model import Found, Rows

#: Predictions whose logits are held at once: 2,048 x 50,304 in float32 are 412 MB.
CHUNK = 2048
#: cuDNN's kernel is left out: it prepares each new shape at length, and every batch has one of its own.
KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
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


@dataclass(frozen=True)
class Prefixes:
    """Each layer's keys and values (G, H, P, K) of prefixes; a shorter one is padded behind."""

    layers: list[Pair]
    lengths_G: Tensor


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
    """Puts each row's kept keys and values before its own, under a tree's mask (B, 1, T, S)."""

    def __init__(self, layers: Sequence[Pair], prefixes_B: Tensor, mask_B1TS: Tensor) -> None:
        super().__init__()
        self.layers, self.prefixes_B, self.mask, self.at = layers, prefixes_B, mask_B1TS, 0

    def attend(self, func: Any, query: Tensor, key: Tensor, value: Tensor, **rest: Any) -> Tensor:
        """Attend over prefix and row; causality is in the mask."""
        key, value = heads_of(query, key), heads_of(query, value)
        if self.layers:
            kept_k, kept_v = (heads_of(query, self.of_rows(x)) for x in self.layers[self.at])
            self.at += 1
            key, value = torch.cat((kept_k, key), dim=2), torch.cat((kept_v, value), dim=2)
        rest |= {"attn_mask": self.mask, "is_causal": False, "enable_gqa": False}
        y_BHTK: Tensor = func(query, key, value, **rest)
        return y_BHTK

    def of_rows(self, kept_GHPK: Tensor) -> Tensor:
        """The kept prefix of each row (B, H, P, K)."""
        if len(kept_GHPK) == 1:
            return kept_GHPK.expand(len(self.prefixes_B), -1, -1, -1)
        return kept_GHPK[self.prefixes_B]


def heads_of(query: Tensor, x: Tensor) -> Tensor:
    """Keys or values with as many heads as the queries: under a mask no fast kernel shares them."""
    groups = query.shape[1] // x.shape[1]
    return x if groups == 1 else x.repeat_interleave(groups, dim=1)


def tree_mask(branches_BT: Tensor, lengths_B: Tensor, P: int, dtype: torch.dtype) -> Tensor:
    """What is added to attention scores (B, 1, T, S): 0 where a token may look, else half the lowest number.

    Made once a batch, in the layers' dtype and with rows that begin at multiples of eight numbers, as the
    kernel wants it: else every layer would make it anew. A finite number, for a row may have whole blocks
    of keys that it does not see, and minus infinity less itself is no number; half the lowest, for kernels
    scale it.
    """
    B, T = branches_BT.shape
    S, device = P + T, branches_BT.device
    on_B1T, of_BT1 = branches_BT[:, None, :], branches_BT[:, :, None]
    causal_TT = torch.ones(T, T, dtype=torch.bool, device=device).tril()
    own_BTT = ((on_B1T == 0) | (on_B1T == of_BT1)) & causal_TT
    kept_B1P = (torch.arange(P, device=device) < lengths_B[:, None])[:, None]
    seen_BTS = torch.cat((kept_B1P.expand(-1, T, -1), own_BTT), dim=2)
    mask_BTS = torch.zeros(B, T, (S + 7) // 8 * 8, dtype=dtype, device=device)[:, :, :S]
    return mask_BTS.masked_fill_(~seen_BTS, torch.finfo(dtype).min / 2)[:, None]


def put(array: NDArray[np.int64], device: torch.device) -> Tensor:
    """The array on the device; from pinned memory, for other copies wait until the device is idle."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def run_prefixes(forward: Forward, prefixes: Sequence[Sequence[int]], device: torch.device) -> Prefixes:
    """Run prefixes in one batch and keep their keys and values."""
    lengths_G = np.array([len(tokens) for tokens in prefixes])
    ids_GP = np.zeros((len(prefixes), lengths_G.max()), np.int64)
    for ids_P, tokens in zip(ids_GP, prefixes, strict=True):
        ids_P[: len(tokens)] = tokens
    positions_GP = torch.arange(ids_GP.shape[1], device=device).expand(*ids_GP.shape)
    with torch.inference_mode(), sdpa_kernel(KERNELS), Kept() as kept:
        forward(put(ids_GP, device), positions_GP, None)
    return Prefixes(kept.layers, put(lengths_G, device))


def run_rows(
    forward: Forward,
    head: Head,
    kept: Prefixes | None,
    rows: Rows,
    device: torch.device,
    dtype: torch.dtype,
    trees: bool,
) -> Found:
    """Start a batch; what comes back waits for its targets' log-probabilities.

    trees: False for a decoder that can only run plain causal rows; they have no prefix and no branches.
    """
    tokens_BT, positions_BT = put(rows.tokens_BT, device), put(rows.positions_BT, device)
    with torch.inference_mode(), sdpa_kernel(KERNELS):
        h_BTD = (
            run_trees(forward, kept, rows, tokens_BT, positions_BT, dtype)
            if trees
            else forward(tokens_BT, positions_BT, None)
        )
        h_ND = h_BTD[put(rows.rows_N, device), put(rows.columns_N, device)]
        log_p_N, top_N = read(h_ND, put(rows.targets_N, device), head)
    return lambda: (log_p_N.double().cpu().numpy(), top_N.cpu().numpy())


def run_trees(
    forward: Forward,
    kept: Prefixes | None,
    rows: Rows,
    tokens_BT: Tensor,
    positions_BT: Tensor,
    dtype: torch.dtype,
) -> Tensor:
    """Hidden states (B, T, D) of rows after their prefixes."""
    device = tokens_BT.device
    prefixes_B = put(rows.prefixes_B, device)
    if kept is None:
        layers, P, lengths_B = [], 0, torch.zeros_like(prefixes_B)
    else:
        layers, P, lengths_B = kept.layers, kept.layers[0][0].shape[2], kept.lengths_G[prefixes_B]
    mask_B1TS = tree_mask(put(rows.branches_BT, device), lengths_B, P, dtype)
    with After(layers, prefixes_B, mask_B1TS):
        return forward(tokens_BT, positions_BT, mask_B1TS)


def read(h_ND: Tensor, targets_N: Tensor, head: Head) -> tuple[Tensor, Tensor]:
    """Log-probabilities (N,) of the targets, softmax in float32, and whether each was the likeliest.

    Some predictions at a time.
    """
    log_p, top = [], []
    for start in range(0, len(targets_N), CHUNK):
        h_nD, targets_n = h_ND[start : start + CHUNK], targets_N[start : start + CHUNK]
        logits_nV = head(h_nD).float()
        own_n = logits_nV.gather(1, targets_n[:, None])[:, 0]
        log_p.append(own_n - logits_nV.logsumexp(1))
        top.append(logits_nV.argmax(1) == targets_n)
    return torch.cat(log_p), torch.cat(top)


def agrees(
    forward: Forward, head: Head, vocabulary: int, device: torch.device, dtype: torch.dtype, tolerance: float
) -> bool:
    """Whether rows after kept prefixes give a tree's paths the logits of plain forward passes."""
    ids = torch.randint(vocabulary, (24,), generator=torch.Generator().manual_seed(0)).numpy()
    trunk, one, two = ids[9:14], ids[14:20], ids[20:]
    lengths = (9, 4)
    branches = np.array([[0] * 5 + [1] * 6 + [2] * 4] * 2)
    places = np.array([*range(5), *range(5, 11), *range(5, 9)])
    rows = Rows(
        np.array([[*trunk, *one, *two]] * 2),
        np.array([places + length for length in lengths]),
        branches,
        np.arange(2),
        *(np.zeros(0, np.int64),) * 3,
    )
    expected = []
    try:
        kept = run_prefixes(forward, [ids[:length].tolist() for length in lengths], device)
        if not kept.layers:
            return False
        with torch.inference_mode():
            found = head(
                run_trees(
                    forward, kept, rows, put(rows.tokens_BT, device), put(rows.positions_BT, device), dtype
                )
            ).float()
            for length in lengths:
                for branch, begin in ((one, length), (two, length + 5)):
                    path = put(np.array([[*ids[:length], *trunk, *branch]]), device)
                    at = torch.arange(path.shape[1], device=device)[None]
                    expected.append(head(forward(path, at, None)[0]).float()[begin:])
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False  # not a decoder of this kind: it is scored row by row
    plain = torch.cat(expected)
    spread = plain.std().item()
    return bool((found.flatten(0, 1) - plain).abs().max() <= tolerance * max(1.0, spread))
