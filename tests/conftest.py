"""Shared fixtures: where the real data lies, and what its absence means."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# Triton reads this when a kernel is defined: without a GPU the kernels' tests run in its interpreter.
if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session")
def werp_data() -> Path:
    """The folder of real data named by WERP_DATA.

    A clone without it skips the tests that need it; where WERP_REQUIRE_DATA=1 (CI) its absence fails.
    """
    value = os.environ.get("WERP_DATA", "")
    if value and Path(value).is_dir():
        return Path(value).resolve()
    reason = f"real data not found: WERP_DATA={value!r} is no folder"
    if os.environ.get("WERP_REQUIRE_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
