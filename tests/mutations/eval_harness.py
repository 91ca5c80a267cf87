"""Wrong changes of eval_harness/: pairing and intervals."""

from __future__ import annotations

from tests.mutations import Change

STATISTICS = ("tests/eval_harness/test_statistics.py",)

CHANGES = [
    Change("seeds-unpaired-over-tasks", "eval_harness/statistics.py",
           "            m = matrix.shape[1]\n            picked",
           "            m = matrix.shape[1]\n"
           "            weights = rng.multinomial(n, np.full(n, 1 / n), size=size) / n\n            picked",
           STATISTICS),
    Change("seeds-unpaired-over-sides", "eval_harness/compare.py", "    if by_seed:\n", "    if False:\n",
           STATISTICS),
]  # fmt: skip
