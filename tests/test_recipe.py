"""The typed recipe: overrides, and errors that name the nearest right key."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from werp.decide import decide
from werp.errors import WerpError
from werp.recipe import Recipe, load_recipe, recipe_names
from werp.settings import read_settings
from werp.signals.batch import TextBatch
from werp.signals.chain import measure, signals_schema


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_package_loads_and_round_trips(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_package_measures_and_decides(name: str, werp_data: Path) -> None:
    recipe = load_recipe(name)
    text = "The ferry leaves the harbour at noon, and it comes back with the tide. " * 3
    texts = ["\n".join(f"{text}Day {i} of them." for i in range(9)), "", "menu\nlogin"]
    batch = TextBatch(["a", "b", "c"], ["http://a.org/x", "", "http://b.org"], texts, recipe.segmenter)
    signals = pa.table(measure(recipe.measured(), batch))
    assert signals.schema.remove_metadata() == pa.schema(
        [field.remove_metadata() for field in signals_schema(recipe.measured())][2:]
    )
    stages = decide(signals, recipe.rules).column("stage").to_pylist()
    assert stages[1] is not None
    assert stages[2] is not None


def test_an_override_changes_one_key() -> None:
    plain = load_recipe("gopher_only").model_dump()
    changed = load_recipe("gopher_only", ["gopher_quality.min_words=30"]).model_dump()
    assert changed["rules"][1].pop("min_words") == 30
    assert plain["rules"][1].pop("min_words") == 50
    assert changed == plain


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("gopher_quality.min_word=30", "did you mean min_words"),
        ("gopher_qualty.min_words=30", "did you mean gopher_quality"),
        ("shards.target=1", "did you mean target_mb"),
        ("exact.survivor=oldest", "'first', 'newest', 'longest' or 'best'"),
        ("gopher_quality.min_words=many", "valid"),
        ("min_words", "KEY=VALUE"),
        ("gopher_quality.min_words=[", "not a YAML value"),
        ("gopher_quality=3", "unknown key .*known: "),
        ("quality.models=3", r"quality is None here; set it whole, --set 'quality=\{\.\.\.\}'"),
    ],
)
def test_wrong_overrides_name_the_right_key(override: str, words: str) -> None:
    with pytest.raises(WerpError, match=words):
        load_recipe("gopher_only", [override])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nrulez: []", "unknown key rulez .did you mean rules"),
        ("name: x\nrules: [{rule: gopher_quality.v1, min_word: 3}]", "did you mean min_words"),
        ("name: x\nrules: [{rule: gopher_quality.v2}]", r"did you mean gopher_quality\.v1"),
        ("name: x\nextract: {extractors: [trafilatur]}", "did you mean trafilatura"),
        ("name: x\nrules: [{rule: length.v1}, {rule: length.v1}]", "listed twice"),
        ("name: x\ndedup: [{rule: exact.v1}, {rule: exact.v1}]", "listed twice"),
        ("name: x\ndedup: [{rule: exact.v1, survivr: first}]", "did you mean survivor"),
        ("name: x\ndedup: [{rule: minhash.v2}]", r"did you mean minhash\.v1"),
        ("name: x\nrules: [{min_words: 3}]", "rules.0: no key `rule`"),
        ("name: x\nquality: {models: [{name: m, model: m.bin}], accept: {m: 1}}", "accept: no key `by`"),
        (
            "name: x\nquality: {models: [{name: m, model: m.bin}], accept: {by: any_of, min: {m: .nan}}}",
            "finite number",
        ),
        ("name: x\nrules: 3", "rules: Input should be a list"),
        ("name: [", "not valid YAML"),
        ("name: x\nrules: []\nrules: [{rule: length.v1}]", "the key rules is given twice(.|\n)*line 3"),
        (
            "name: x\nrules: [{rule: length.v1, min_chars: 3, max_chars: 9, min_chars: 5}]",
            "the key min_chars is given twice",
        ),
        ("name: x\nrules: [{rule: language.v1, languages: [no]}]", "truth values: quote it"),
        ("- a", "mapping"),
    ],
)
def test_wrong_files_name_file_key_and_remedy(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(WerpError, match=words) as caught:
        load_recipe(str(path))
    assert "mine.yaml" in str(caught.value)


def test_a_list_of_mistakes_is_not_called_short_too(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: x\nextract: {extractors: [trafilatur]}")
    with pytest.raises(WerpError) as caught:
        load_recipe(str(tmp_path / "mine.yaml"))
    assert len(str(caught.value).splitlines()) == 1
    (tmp_path / "mine.yaml").write_text("name: x\nextract: {extractors: []}")
    with pytest.raises(WerpError, match="at least 1 item"):
        load_recipe(str(tmp_path / "mine.yaml"))


def test_yaml_may_still_merge(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: x\nrules:\n- {rule: language.v1, min_score: 0.5}\n"
        "dedup:\n- {rule: exact.v1}\nshards: {<<: {format: arrow}, <<: {target_mb: 3}}\n"
    )
    recipe = load_recipe(str(tmp_path / "mine.yaml"))
    assert (recipe.shards.format, recipe.shards.target_mb) == ("arrow", 3)


def test_a_recipe_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(WerpError, match=r"mine\.yaml: no UTF-8 text: .*; save it as UTF-8"):
        load_recipe(str(tmp_path / "mine.yaml"))


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(WerpError, match="did you mean gopher_only"):
        load_recipe("gopher_onlly")


def test_the_schema_describes_every_rule() -> None:
    definitions = Recipe.model_json_schema()["$defs"]
    assert {"GopherQuality", "GopherRepetition", "Language", "Url", "Length", "Exact"} <= set(definitions)


@pytest.mark.parametrize("name", recipe_names())
def test_the_schema_takes_the_extractors_of_every_recipe(name: str) -> None:
    section = Recipe.model_json_schema()["$defs"]["ExtractOptions"]["properties"]["extractors"]
    one, several = section["anyOf"]
    names, tagged = several["items"]["anyOf"]
    assert one == names
    content = read_settings(name, "werp.recipes", "recipe")[0].get("extract", {}).get("extractors", [])
    for item in content:
        known = names["enum"] if isinstance(item, str) else tagged["discriminator"]["mapping"]
        assert (item if isinstance(item, str) else item["name"]) in known
