"""Learning rates over a run, as a function of the share of it that lies behind."""

from __future__ import annotations

import math

FINAL_SHARE = 0.01  # of the peak rate, where both schedules end (DataDecide's 1 %)
DECAY = 0.2  # share of the run in which WSD comes down (arXiv 2404.06395 finds 10-20 % enough)


def learning_rate(share: float, peak: float, warmup: float, schedule: str = "cosine") -> float:
    """Linear from 0 to `peak` over the first `warmup` of the run; then by `schedule` to 1 % of it.

    cosine: half a period. wsd (warm-up, stable, decay): constant, then linear over the last fifth.
    """
    if share < warmup:
        return peak * share / warmup
    if schedule == "wsd":
        left = min(1.0, (1 - share) / DECAY)
        return peak * (FINAL_SHARE + (1 - FINAL_SHARE) * left)
    cosine = (1 + math.cos(math.pi * (share - warmup) / (1 - warmup))) / 2
    return peak * (FINAL_SHARE + (1 - FINAL_SHARE) * cosine)
