"""The native hash against the xxhash wheel, at every length where its code changes."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from werp.signals.xxh3 import xxh3_64


def native(data: bytes, before: bytes = b"") -> int:
    array = np.frombuffer(before + data + b"\0", np.uint8)
    return int(xxh3_64(array.ctypes.data + len(before), len(data)))


@pytest.mark.parametrize(
    "lengths", [range(0, 260), range(500, 530), range(1010, 1100), range(2040, 2060), [10_000, 65_537]]
)
def test_every_length_agrees_with_the_wheel(lengths: range) -> None:
    data = np.random.default_rng(7).bytes(70_000)
    for n in lengths:
        assert native(data[:n], b"ab") == xxhash.xxh3_64_intdigest(data[:n]), n


@settings(deadline=None)  # the first call compiles
@given(st.binary(max_size=600))
def test_any_bytes_agree_with_the_wheel(data: bytes) -> None:
    assert native(data) == xxhash.xxh3_64_intdigest(data)
