"""A rule of the user's own, from a package outside the repository, through recipe, signals and verdicts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from werp.clock import PageError
from werp.decide import decide
from werp.errors import WerpError
from werp.recipe import load_recipe
from werp.signals.batch import TextBatch
from werp.signals.chain import measure

_MODULE = '''
"""Someone's rules, in someone's package."""

def link_share(batch, schemes):
    links = [sum(text.count(f"{scheme}://") for scheme in schemes) for text in batch.texts]
    words = [max(1, len(text.split())) for text in batch.texts]
    return {"share": [own / all_ for own, all_ in zip(links, words)]}

def kind(batch):
    return {"kind": ["page" for text in batch.texts]}

def one_page_too_many(batch):
    return {"share": [1 / (len(text) - 1) for text in batch.texts]}

def wrong(batch):
    return {"share": [1.0]}
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site" / "someones_rules"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "links.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    for name in [name for name in sys.modules if name.startswith("someones_rules")]:
        del sys.modules[name]


def recipe(tmp_path: Path, function: str, more: str = "") -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nrules:\n  - rule: someones_rules.links:{function}\n{more}")
    return str(path)


_MORE = "    parameters: {schemes: [http, https]}\n    max: {share: 0.2}\n"


def test_it_measures_and_decides(package: Path, tmp_path: Path) -> None:
    chosen = load_recipe(recipe(tmp_path, "link_share", _MORE))
    signals = pa.table(
        measure(chosen.rules, TextBatch(["a", "b"], ["", ""], ["http://x.org see", "plain text"]))
    )
    assert signals.column("link_share.share").to_pylist() == [0.5, 0.0]
    verdicts = decide(signals, chosen.rules).to_pylist()
    assert verdicts[0] == {
        "outcome": "dropped", "stage": "filter", "rule": "link_share.v1.max.share", "value": "0.5",
        "threshold": "0.2",
    }  # fmt: skip
    assert verdicts[1]["rule"] is None
    other = load_recipe(recipe(tmp_path, "link_share", _MORE), ["link_share.max.share=0.9"])
    assert decide(signals, other.rules).column("rule").null_count == 2


def test_its_key_follows_its_source(package: Path, tmp_path: Path) -> None:
    rule = load_recipe(recipe(tmp_path, "link_share", _MORE)).rules[0]
    before = rule.measure_parameters()
    assert before == rule.measure_parameters()
    (package / "links.py").write_text(_MODULE + "\n# another meaning\n")
    assert rule.measure_parameters() != before


def test_mistakes_are_named(package: Path, tmp_path: Path) -> None:
    batch = TextBatch(["a", "b"], ["", ""], ["x", "y"])
    with pytest.raises(WerpError, match="1 values for 2 documents"):
        measure(load_recipe(recipe(tmp_path, "wrong")).rules, batch)
    with pytest.raises(WerpError, match=r"no attribute 'nothing'.*PYTHONPATH"):
        measure(load_recipe(recipe(tmp_path, "nothing")).rules, batch)
    with pytest.raises(PageError, match=r"kind\.v1: .*signal kind is text: return pa\.array\(values, pa\.st"):
        measure(load_recipe(recipe(tmp_path, "kind")).rules, batch)
    with pytest.raises(PageError, match=r"one_page_too_many\.v1: ZeroDivisionError.*links\.py:13\)"):
        measure(load_recipe(recipe(tmp_path, "one_page_too_many")).rules, batch)
    with pytest.raises(WerpError, match="did you mean parameters"):
        load_recipe(recipe(tmp_path, "link_share", "    parameter: {}\n"))
