"""Signatures equal datasketch's, bit for bit, over shingles made by a plain Python loop."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from datasketch import MinHash as Datasketch
from hypothesis import given, settings
from hypothesis import strategies as st

from werp.recipe import load_recipe
from werp.signals.batch import TextBatch
from werp.signals.minhash import PRESETS, MinHash
from werp.signals.shingles import shingles

_TEXTS = [
    "The quick brown Fox jumped over 12 lazy dogs, twice! Élan is naïve. ÀÉÎ õ ñ",
    "", " \n ", "one two three four", "one two three four five", "... !!! ???",
    "Ångström İstanbul ǅ ﬁne 한국어 텍스트 日本語のテキスト ١٢٣ ไทยภาษา 👍🏽 ok", "x" * 3000 + " a b c d e f",
    "won't can't http://www.example.com/a?b=c don't U.S. e-mail me@host.org 3.5% $20",
]  # fmt: skip


def batch(texts: list[str]) -> TextBatch:
    return TextBatch(["x"] * len(texts), [""] * len(texts), texts)


def folded(word: str, fold: str) -> str:
    out = []
    for c in word:
        lower = c.lower()
        if fold == "none":
            out.append(c)
        elif fold == "lower":
            out.append(lower if len(lower) == 1 else c)
        else:
            parts = [d for d in unicodedata.normalize("NFD", lower) if unicodedata.category(d) != "Mn"]
            if not parts or unicodedata.category(parts[0])[0] in "PS":
                continue
            digit = unicodedata.category(parts[0]) == "Nd"
            out.append("0" if digit else parts[0] if len(parts) == 1 else c)
    return "".join(out)


def reference(texts: TextBatch, index: int, rule: MinHash) -> list[bytes]:
    words = [w for w in (folded(word, rule.fold) for word in texts.words(index)) if w]
    n = rule.shingle_size
    if rule.shingle == "word":
        return [" ".join(words[k : k + n]).encode("utf-8", "replace") for k in range(len(words) - n + 1)]
    joined = " ".join(words)
    return [joined[k : k + n].encode("utf-8", "replace") for k in range(len(joined) - n + 1)]


def low32(data: bytes) -> int:
    return xxhash.xxh3_64_intdigest(data) & 0xFFFFFFFF


def check(texts: list[str], rule: MinHash) -> None:
    made = batch(texts)
    column = pa.chunked_array([rule.measure(made)["minhash.signature"]])
    matrix, valid = rule.signature_matrix(column)
    hashes, firsts = shingles(made.split, rule.shingle_size, rule.shingle, rule.fold)
    hashfunc: Any = low32 if rule.scheme == "affine32" else xxhash.xxh3_64_intdigest
    for index in range(len(texts)):
        expected = reference(made, index, rule)
        found = hashes[firsts[index] : firsts[index + 1]].tolist()
        assert found == [xxhash.xxh3_64_intdigest(shingle) for shingle in expected]
        assert valid[index] == bool(expected)
        peer = Datasketch(rule.permutations, rule.seed, scheme=rule.scheme, hashfunc=hashfunc)
        peer.update_batch(expected)
        if expected:
            assert np.array_equal(matrix[index], peer.hashvalues)


@pytest.mark.parametrize("scheme", ["affine32", "affine64"])
@pytest.mark.parametrize(("shingle", "size"), [("word", 5), ("word", 1), ("character", 7)])
@pytest.mark.parametrize("fold", ["none", "lower", "fineweb"])
def test_signatures_equal_datasketch(scheme: str, shingle: str, size: int, fold: str) -> None:
    check(_TEXTS, MinHash(scheme=scheme, shingle=shingle, shingle_size=size, fold=fold, seed=42))


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), max_size=4),
    st.sampled_from(["none", "lower", "fineweb"]), st.sampled_from(["word", "character"]),
    st.sampled_from(["affine32", "affine64"]),
)  # fmt: skip
def test_any_text_equals_datasketch(texts: list[str], fold: str, shingle: str, scheme: str) -> None:
    check(texts, MinHash(scheme=scheme, shingle=shingle, shingle_size=3, fold=fold, bands=3, rows=5))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_fill_what_is_not_given(preset: str) -> None:
    rule = MinHash(preset=preset, seed=9)  # type: ignore[arg-type]
    assert all(getattr(rule, key) == value for key, value in PRESETS[preset].items())
    assert rule.seed == 9
    assert MinHash(preset=preset, rows=3).rows == 3  # type: ignore[arg-type]
    assert MinHash.model_validate(rule.model_dump(mode="json")) == rule


def test_a_signature_does_not_follow_from_its_cut_into_bands() -> None:
    assert MinHash(bands=14, rows=8).measure_parameters() == MinHash(bands=28, rows=4).measure_parameters()


def test_a_preset_is_chosen_in_a_recipe() -> None:
    recipe = load_recipe("gopher_only", ["exact.survivor=newest"])
    assert recipe.dedup[0].survivor == "newest"  # type: ignore[union-attr]
