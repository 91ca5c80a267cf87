"""The sample crawl, refined once for all questions."""

from __future__ import annotations

from pathlib import Path

import pytest

from werp.inputs import list_inputs
from werp.recipe import load_recipe
from werp.refine import Options, make_plan, refine
from werp.sample import write_sample


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample")) / "crawl"


@pytest.fixture(scope="session")
def finished(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run") / "out"
    refine(None, make_plan(load_recipe("gopher_only"), list_inputs([str(sample)]), output, Options()))
    return output
