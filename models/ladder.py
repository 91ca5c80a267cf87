"""The size ladder: one row a rung, every count derived from it.

`4M` is the smallest rung of DataDecide (arXiv 2504.11393, table of sizes). Its 3.7 M
parameters are mostly the output head over 50,304 entries; with the demo's 4,096-entry
vocabulary the same shape would hold 0.8 M. `demo-4M` therefore keeps the depth, widens
the model and counts 3.9 M the same way; it is no rung of DataDecide.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """The shape of one decoder; the hidden width of its SwiGLU layer is 4 x `width`.

    width: of the residual stream. A head is `width / heads` wide.
    """

    name: str
    width: int
    heads: int
    layers: int

    @property
    def blocks(self) -> int:
        """Parameters without embedding and output head: 16 L d² in matrices, (2 L + 1) d in norms."""
        return 16 * self.layers * self.width**2 + (2 * self.layers + 1) * self.width

    def counted(self, vocabulary: int) -> int:
        """DataDecide's N: the output head is in, the input embedding is not."""
        return self.blocks + vocabulary * self.width

    def total(self, vocabulary: int) -> int:
        """Every parameter: the blocks, the input embedding and the untied output head."""
        return self.blocks + 2 * vocabulary * self.width


LADDER = {
    rung.name: rung
    for rung in (
        Rung("4M", width=64, heads=8, layers=8),
        Rung("demo-4M", width=160, heads=5, layers=8),
    )
}


def peak_learning_rate(counted: int) -> float:
    """DataDecide's rule 0.0047 (N / 108e6)^(-1/3).

    It goes with batches of 160 (N / 108e6)^(2/3) sequences of 2,048 tokens.
    """
    return float(0.0047 * (counted / 108e6) ** (-1 / 3))
