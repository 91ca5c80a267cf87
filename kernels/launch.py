"""How many programs a persistent kernel starts."""

from __future__ import annotations

import functools

import torch


@functools.cache
def _processors(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count


def programs(device: torch.device, rows: int, per_processor: int) -> int:
    """Programs of a grid that walks `rows`: so many a multiprocessor, on a CPU (the interpreter) three."""
    if device.type != "cuda":
        return min(rows, 3)
    return min(rows, per_processor * _processors(device.index or 0))
