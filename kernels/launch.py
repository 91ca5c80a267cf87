"""How many programs a persistent kernel starts, and where QuACK's products run."""

from __future__ import annotations

import functools
import importlib.util
import os
from pathlib import Path

import torch
from torch import Tensor


@functools.cache
def _processors(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count


def programs(device: torch.device, rows: int, per_processor: int) -> int:
    """Programs of a grid that walks `rows`: so many a multiprocessor, on a CPU (the interpreter) three."""
    if device.type != "cuda":
        return min(rows, 3)
    return min(rows, per_processor * _processors(device.index or 0))


@functools.cache
def _generation(index: int) -> int:
    return torch.cuda.get_device_capability(index)[0]


@functools.cache
def _quack() -> bool:
    # It keeps compiled kernels and loads them again: from the user's own folder, where its default is one in
    # /tmp that another could have made first.
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    os.environ.setdefault("QUACK_CACHE_DIR", str(Path(cache) / "quack"))
    return importlib.util.find_spec("quack") is not None


def on_hopper(x_NK: Tensor, columns: int) -> bool:
    """Whether kernels for NVIDIA's Hopper GPUs read `x_NK` and write so many columns: on such a GPU 16-bit
    numbers, rows of a multiple of 16 bytes.
    """
    if not x_NK.is_cuda or x_NK.element_size() != 2 or x_NK.shape[1] % 8 or columns % 8:
        return False
    return _generation(x_NK.device.index or 0) == 9


def available(x_NK: Tensor, columns: int) -> bool:
    """Whether `kernels.hopper` multiplies, which needs the package quack-kernels."""
    return on_hopper(x_NK, columns) and _quack()
