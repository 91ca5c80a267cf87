"""The size ladder: one row a rung, every other number derived from it.

    python -m models.ladder            # the table, with the budget at 20 and 100 tokens a parameter

The rungs are DataDecide's (arXiv 2504.11393, table of sizes) and two of 400M, which it lacks: `400M` by its
own rules, `400M-dclm` the 400M-1x shape and recipe of DCLM (arXiv 2406.11794). `demo-4M` is for a minute on a
CPU.

What the published N counts: 16 L d² + 50,304 d + (2 L + 1) d, exactly. The output head is in, the input
embedding is not. The rules below reproduce the published table; two of its habits are kept as they are: batch
and budget follow the *nominal* size from 150M on and the counted one below, the peak rate always the counted
one.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

VOCABULARY = 50_304  # the GPT-NeoX vocabulary of 50,280 entries, padded to a multiple of 128
WINDOW = 2048


@dataclass(frozen=True)
class Recipe:
    """A published training recipe that replaces the ladder's rules.

    batch: sequences a step. tokens: of the whole run. warmup_steps, learning_rate (peak), weight_decay,
    z_loss as published.
    """

    batch: int
    tokens: int
    warmup_steps: int
    learning_rate: float
    weight_decay: float
    z_loss: float


@dataclass(frozen=True)
class Rung:
    """The shape of one decoder.

    width: of the residual stream. A head is `width / heads` wide.
    hidden: width of the SwiGLU layer; None is 4 x width.
    kv_heads: key and value heads, fewer than `heads` for grouped-query attention (arXiv 2305.13245); None is
    `heads`.
    qk_norm: an RMSNorm on each query and key head before the rotation (arXiv 2302.05442).
    nominal: the size in a rung's name where DataDecide's rules go by it, else None.
    """

    name: str
    width: int
    heads: int
    layers: int
    hidden: int | None = None
    kv_heads: int | None = None
    qk_norm: bool = False
    nominal: int | None = None
    recipe: Recipe | None = None

    @property
    def head_width(self) -> int:
        """K, of one attention head."""
        return self.width // self.heads

    @property
    def hidden_width(self) -> int:
        """F, of the SwiGLU layer."""
        return self.hidden or 4 * self.width

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    @property
    def blocks(self) -> int:
        """Parameters without embedding and output head: matrices and norms."""
        attention = 2 * self.width**2 + 2 * self.width * self.key_heads * self.head_width
        norms = (2 * self.layers + 1) * self.width + 2 * self.qk_norm * self.layers * self.head_width
        return self.layers * (attention + 3 * self.width * self.hidden_width) + norms

    def counted(self, vocabulary: int = VOCABULARY) -> int:
        """DataDecide's N: the output head is in, the input embedding is not."""
        return self.blocks + vocabulary * self.width

    def total(self, vocabulary: int = VOCABULARY) -> int:
        """Every parameter: the blocks, the input embedding and the untied output head."""
        return self.blocks + 2 * vocabulary * self.width

    def flops_per_token(self, window: int = WINDOW, vocabulary: int = VOCABULARY) -> int:
        """6 N + 6 L T d: a step's floating-point operations a token, causal attention counted at half."""
        return 6 * self.counted(vocabulary) + 6 * self.layers * window * self.width


@dataclass(frozen=True)
class Plan:
    """A run of a rung: `batch` sequences of `window` tokens for `steps` steps, at `learning_rate` at its
    peak.
    """

    batch: int
    window: int
    steps: int
    warmup_steps: int
    learning_rate: float
    weight_decay: float
    z_loss: float

    @property
    def tokens(self) -> int:
        """Tokens consumed."""
        return self.steps * self.batch * self.window


def plan(rung: Rung, per_parameter: float = 100, vocabulary: int = VOCABULARY) -> Plan:
    """Batch, steps, warm-up and peak rate of a rung at so many tokens a parameter.

    DataDecide trains for 100. Batch 160 (N / 108e6)^(2/3) sequences to the nearest multiple of 32; peak rate
    0.0047 (N / 108e6)^(-1/3); warm-up for N tokens; weight decay 0.05 on everything.
    """
    counted = rung.counted(vocabulary)
    size = rung.nominal or counted
    if rung.recipe:
        r = rung.recipe
        tokens = r.tokens * per_parameter / 20  # DCLM's 1x is 20 tokens a parameter
        steps = math.ceil(tokens / (r.batch * WINDOW))
        return Plan(r.batch, WINDOW, steps, r.warmup_steps, r.learning_rate, r.weight_decay, r.z_loss)
    batch = max(1, round(160 * (size / 108e6) ** (2 / 3) / 32)) * 32
    return Plan(
        batch=batch,
        window=WINDOW,
        steps=math.ceil(per_parameter * size / (batch * WINDOW)),
        warmup_steps=math.ceil(counted / (batch * WINDOW)),
        learning_rate=peak_learning_rate(counted),
        weight_decay=0.05,
        z_loss=0.0,
    )


def peak_learning_rate(counted: int) -> float:
    """DataDecide's rule 0.0047 (N / 108e6)^(-1/3), for its batches (see `plan`)."""
    return float(0.0047 * (counted / 108e6) ** (-1 / 3))


DCLM_400M = Recipe(512, 8_230_000_000, 2000, 3e-3, 0.033, 1e-4)

LADDER = {
    rung.name: rung
    for rung in (
        Rung("demo-4M", width=160, heads=5, layers=8),
        Rung("4M", width=64, heads=8, layers=8),
        Rung("6M", width=96, heads=8, layers=8),
        Rung("8M", width=128, heads=8, layers=8),
        Rung("10M", width=144, heads=8, layers=8),
        Rung("14M", width=192, heads=8, layers=8),
        Rung("16M", width=208, heads=8, layers=8),
        Rung("20M", width=192, heads=8, layers=16),
        Rung("60M", width=384, heads=12, layers=16),
        Rung("90M", width=528, heads=12, layers=16),
        Rung("150M", width=768, heads=12, layers=12, nominal=150_000_000),
        Rung("300M", width=1024, heads=16, layers=16, nominal=300_000_000),
        Rung("400M", width=1152, heads=9, layers=16, nominal=400_000_000),
        Rung("400M-dclm", width=1024, heads=8, layers=24, hidden=2816, qk_norm=True, recipe=DCLM_400M),
        Rung("530M", width=1344, heads=16, layers=16, nominal=530_000_000),
        Rung("750M", width=1536, heads=16, layers=16, nominal=750_000_000),
        Rung("1B", width=2048, heads=16, layers=16, nominal=1_000_000_000),
    )
}


def table() -> str:
    """The ladder in Markdown."""
    rows = [
        "| rung | d | heads | layers | N (head in) | all | without both | GFLOP/token | batch | peak rate "
        "| warm-up | tokens, steps at 20 | tokens, steps at 100 |",
        "|---|" + "--:|" * 12,
    ]
    for rung in LADDER.values():
        short, long = plan(rung, 20), plan(rung, 100)
        rows.append(
            f"| {rung.name} | {rung.width} | {rung.heads} | {rung.layers} | {rung.counted():,} "
            f"| {rung.total():,} | {rung.blocks:,} | {rung.flops_per_token() / 1e9:.3f} "
            f"| {long.batch} | {long.learning_rate:.2e} | {long.warmup_steps:,} "
            f"| {short.tokens / 1e9:.2f} B, {short.steps:,} | {long.tokens / 1e9:.2f} B, {long.steps:,} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m models.ladder", description="Print the ladder.").parse_args()
    print(table())
