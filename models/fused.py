"""The decoder of `models.decoder`, its parameters run through the operators of `kernels/`.

Weights whose parameter has an attribute `sink` (float32, see `models.flat`) get their gradient there.
Shape suffixes: N tokens (B x T), B sequences, T positions, D width, H heads, K head width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from kernels.feed_forward import feed_forward
from kernels.linear import embedding, linear
from kernels.linear_cross_entropy import linear_cross_entropy, token_losses
from kernels.rms_norm import add_rms_norm
from kernels.rope import rotations, split_rotate
from models.attention import Packing, attend, padded_width
from models.decoder import NORM_EPS, ROPE_BASE, Block, Decoder


def hidden_states(model: Decoder, tokens_BT: Tensor, pack: Packing | None, backend: str) -> Tensor:
    """The normed states (N, D) that the head projects."""
    T = tokens_BT.shape[1]
    cos_TK, sin_TK = _rotations(T, model.rung.head_width, tokens_BT.device)
    stream_ND = embedding(tokens_BT.flatten(), model.embedding.weight, _sink(model.embedding.weight))
    delta_ND = None
    for block in model.blocks:
        assert isinstance(block, Block)
        stream_ND, delta_ND = _block(block, stream_ND, delta_ND, (cos_TK, sin_TK), pack, backend)
    h_ND: Tensor = add_rms_norm(stream_ND, delta_ND, model.norm.weight, NORM_EPS)[1]
    return h_ND


def _block(
    block: Block, stream_ND: Tensor, delta_ND: Tensor | None, angles: tuple[Tensor, Tensor],
    pack: Packing | None, backend: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One layer: the stream as far as it is summed, and what is still to be added to it."""
    attention, K = block.attention, block.attention.head_width
    wide = padded_width(K, backend)
    stream_ND, x_ND = add_rms_norm(stream_ND, delta_ND, block.attention_norm.weight, NORM_EPS)
    qkv = linear(x_ND, *_padded(attention.qkv, K, wide, dim=0))
    norms = None
    if attention.query_norm is not None and attention.key_norm is not None:
        norms = (attention.query_norm.weight, attention.key_norm.weight)
    q, k, v = split_rotate(qkv, *angles, attention.heads, attention.key_heads, norms)
    y_BTHK = attend(q, k, v, pack, backend, K**-0.5)
    y_ND = y_BTHK.reshape(-1, attention.heads * wide)
    delta_ND = linear(y_ND, *_padded(attention.out, K, wide, dim=1))
    stream_ND, x_ND = add_rms_norm(stream_ND, delta_ND, block.hidden_norm.weight, NORM_EPS)
    gate_up, down = block.hidden.gate_up.weight, block.hidden.down.weight
    return stream_ND, feed_forward(x_ND, gate_up, down, _sink(gate_up), _sink(down))


def _padded(module: nn.Linear, K: int, wide: int, dim: int) -> tuple[Tensor, Tensor | None]:
    """A projection from or to heads, its weight (and where its gradient goes), each head's K rows or columns
    padded.

    Zeros in the weight cost a few percent of this product; padding the heads themselves would copy q, k, v,
    the output and its gradient in every layer.
    """
    if wide == K:
        return module.weight, _sink(module.weight)
    weight = module.weight
    if dim == 0:
        heads = functional.pad(weight.view(-1, K, weight.shape[1]), (0, 0, 0, wide - K))
        return heads.flatten(0, 1), None
    return functional.pad(weight.view(weight.shape[0], -1, K), (0, wide - K)).flatten(1), None


def accumulate(
    model: Decoder,
    tokens_BT: Tensor,
    targets_BT: Tensor,
    pack: Packing | None,
    scale: Tensor,
    z: float,
    backend: str,
) -> Tensor:
    """Add the gradient of scale x summed loss, with z-loss; returns scale x summed loss without it."""
    h_ND = hidden_states(model, tokens_BT, pack, backend)
    weight, sink = model.head.weight, _sink(model.head.weight)
    assert sink is not None
    loss, dh_ND = linear_cross_entropy(h_ND, weight, targets_BT.flatten(), scale, z, sink)
    h_ND.backward(dh_ND)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def losses(
    model: Decoder, tokens_BT: Tensor, targets_BT: Tensor, pack: Packing | None, backend: str
) -> Tensor:
    """The loss (N) of each position, 0 where there is no target."""
    return token_losses(
        hidden_states(model, tokens_BT, pack, backend), model.head.weight, targets_BT.flatten()
    )


_tables: dict[tuple[int, int, torch.device], tuple[Tensor, Tensor]] = {}


def _rotations(T: int, K: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The tables of a window length, kept; a batch of another length makes its own."""
    key = (T, K, device)
    if key not in _tables:
        _tables.clear()
        _tables[key] = rotations(T, K, ROPE_BASE, device)
    return _tables[key]


def _sink(weight: Tensor) -> Tensor | None:
    return getattr(weight, "sink", None)
