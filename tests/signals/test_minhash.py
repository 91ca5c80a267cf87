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

#: Formats (Cf) that show, and what is invisible without being one (DerivedCoreProperties.txt, Unicode 15).
VISIBLE_FORMATS = {
    *range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, *range(0xFFF9, 0xFFFC), 0x110BD, 0x110CD,
    *range(0x13430, 0x13440),
}  # fmt: skip
MORE_INVISIBLE = {
    0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2065, 0x3164, *range(0xFE00, 0xFE10),
    0xFFA0, *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000),
}  # fmt: skip
_TEXTS = [
    "The quick brown Fox jumped over 12 lazy dogs, twice! Élan is naïve. ÀÉÎ õ ñ",
    "", " \n ", "one two three four", "one two three four five", "... !!! ???",
    "Ångström İstanbul ǅ ﬁne 한국어 텍스트 日本語のテキスト ١٢٣ ไทยภาษา 👍🏽 ok", "x" * 3000 + " a b c d e f",
    "won't can't http://www.example.com/a?b=c don't U.S. e-mail me@host.org 3.5% $20",
]  # fmt: skip


def batch(texts: list[str]) -> TextBatch:
    return TextBatch(["x"] * len(texts), [""] * len(texts), texts, segmenter=None)


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


def alike_by_hand(text: str) -> str:
    """What `werp.signals.looks` does that shows in words: widths, ligatures, invisible characters, NFC."""
    seen = []
    for c in text:
        kind = unicodedata.decomposition(c).partition(" ")[0]
        code = ord(c)
        if (unicodedata.category(c) == "Cf" and code not in VISIBLE_FORMATS) or code in MORE_INVISIBLE:
            continue
        plain = (
            kind in ("", "<super>", "<sub>", "<circle>", "<fraction>", "<font>", "<square>") or kind[0] != "<"
        )
        made = unicodedata.normalize("NFKC", c)
        seen.append(c if plain or (made[0] == " " and not c.isspace()) else made)
    return unicodedata.normalize("NFC", "".join(seen))


def reference(texts: TextBatch, index: int, rule: MinHash) -> list[bytes]:
    if rule.fold != "none":
        texts, index = batch([alike_by_hand(texts.texts[index])]), 0
    words = [w for w in (folded(word, rule.fold) for word in texts.words(index)) if w] or texts.words(index)
    units = len(words) if rule.shingle == "word" else len(" ".join(words))
    n = min(rule.shingle_size, units)
    if n == 0:
        return []
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
    hashes, firsts = shingles(made, rule.shingle_size, rule.shingle, rule.fold)
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
