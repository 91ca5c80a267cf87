"""What a recipe asks for and there is not is said before any work is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from werp.errors import WerpError
from werp.inputs import list_inputs
from werp.preflight import check_recipe
from werp.recipe import load_recipe, recipe_names
from werp.refine import Options, make_plan

_MODULE = """
def shares(batch, of=1.0):
    return {"share": [len(text) / of for text in batch.texts]}

def kinds(batch):
    return {"kind": ["page" for text in batch.texts]}

def fails(batch):
    return {"share": [1.0 + text for text in 'x']}
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "persons_rules.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("persons_rules", None)


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipes_of_the_package_ask_for_what_there_is(name: str, werp_data: Path) -> None:
    check_recipe(load_recipe(name))


_LANGUAGE = "{rule: language.v1, languages: [en]}"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("rules: [{rule: language.v1, languages: [english]}]", "language.v1.languages: .*'english'.*mean en"),
        ("rules: [{rule: language.v1, languages: [de, EN]}]", "no label 'EN'.*did you mean en"),
        (
            f"rules: [{_LANGUAGE}, {{rule: gopher_quality.v1, per_language: {{deu: {{min_words: 9}}}}}}]",
            "gopher_quality.v1.per_language: .*'deu'.*mean de",
        ),
        ("prefilters: [{rule: lang_prefilter.v1, languages: [eng]}]", "lang_prefilter.v1.languages: .*'eng'"),
        ("dedup: [{rule: exact.v1, survivor: best}]", "exact.score: .*'language.score'"),
        (
            f"rules: [{_LANGUAGE}]\ndedup: [{{rule: minhash.v1, survivor: best, score: language.label}}]",
            "minhash.score: .*did you mean language.score",
        ),
        (
            "rules: [{rule: 'persons_rules:shares', max: {shaer: 3}}]",
            "shares.max.shaer: .*did you mean share",
        ),
        (
            "rules: [{rule: 'persons_rules:shares', parameters: {per: 2}}]",
            "persons_rules:shares: TypeError: .*'per'",
        ),
        ("rules: [{rule: 'persons_rules:fails'}]", r"TypeError: .*persons_rules\.py:9"),
        ("rules: [{rule: 'persons_rules:nothing'}]", "no attribute 'nothing'"),
        ("quality: {models: [{name: a, model: '{0}/none.ftz'}]}", r"none\.ftz: not a fastText model"),
        ("quality: {models: [{name: a, model: '{0}/a:b.ftz'}]}", r"a:b\.ftz: not a fastText model"),
        ("quality: {models: [{name: a, model: dclm, positive: good}]}", "labels hq, cc, not 'good'"),
        ("rules: [{rule: decontaminate.v1, benchmarks: '{0}/b [1]'}]", r"b \[1\]/b\.jsonl:1: .*gold is -1"),
    ],
)
def test_what_there_is_not_is_named(tmp_path: Path, werp_data: Path, lines: str, says: str) -> None:
    (tmp_path / "recipe.yaml").write_text(f"name: mine\n{lines.replace('{0}', str(tmp_path))}\n")
    (tmp_path / "b [1]").mkdir()
    (tmp_path / "b [1]" / "b.jsonl").write_text(
        '{"task": "b", "split": "test", "id": 1, "question": "is it?", "choices": ["no", "yes"], "gold": -1}'
    )
    for name in ("none.ftz", "a:b.ftz"):
        (tmp_path / name).write_text("<html>404</html>")
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    recipe, files = load_recipe(str(tmp_path / "recipe.yaml")), list_inputs([str(tmp_path / "a.jsonl")])
    with pytest.raises(WerpError, match=says):
        make_plan(recipe, files, tmp_path / "out", Options())
