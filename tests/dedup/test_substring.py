"""Repeated passages against a brute-force search over word windows."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dedup.conftest import found
from werp.dedup.planted import passages, write_sources
from werp.dedup.stages import Substring
from werp.dedup.substring import chosen_anchors
from werp.edits import apply_edits, spans_of
from werp.signals.batch import TextBatch
from werp.signals.length import Length


def cut(texts: list[str], n: int) -> list[str]:
    """What is left of texts in order when the words of every window seen before are cut out."""
    seen: set[tuple[str, ...]] = set()
    out = []
    for text in texts:
        batch = TextBatch([""], [""], [text])
        words, split = batch.words(0), batch.split
        gone = np.zeros(len(words), bool)
        for k in range(len(words) - n + 1):
            window = tuple(words[k : k + n])
            if window in seen:
                gone[k : k + n] = True
            seen.add(window)
        left, at, k = [], 0, 0
        while k < len(words):
            if gone[k]:
                last = k
                while last + 1 < len(words) and gone[last + 1]:
                    last += 1
                left.append(text[at : split.word_start[k]])
                at, k = int(split.word_end[last]), last
            k += 1
        out.append("".join(left) + text[at:])
    return out


@pytest.mark.parametrize("n", [50, 13])
def test_what_is_cut_is_what_brute_force_finds(spark: Any, werp_data: Path, tmp_path: Path, n: int) -> None:
    chance = random.Random(4)
    texts = passages(werp_data / "corpora", 1500, 400, 900)
    for _ in range(700):  # planted: runs of n - 1 (stay), n and more words, at any place, some from copies
        source, target = chance.sample(range(len(texts)), 2)
        words = texts[source].split(" ")
        length = chance.choice([n - 1, n, n + 5, 2 * n])
        start = chance.randrange(max(1, len(words) - length))
        place = chance.randrange(len(texts[target]))
        texts[target] = (
            f"{texts[target][:place]} {' '.join(words[start : start + length])} {texts[target][place:]}"
        )
    parts = [texts[k * 300 : (k + 1) * 300] for k in range(5)]
    sources = write_sources(tmp_path / "tables", parts, [Length()])
    rows, (figures,) = found(spark if n == 13 else None, sources, [Substring(min_tokens=n)], tmp_path)
    by_id = {row["id"]: row for row in rows}
    left = []
    for source_ in sources:
        for row in pq.read_table(source_.documents).to_pylist():
            what = by_id.get(row["id"])
            left.append(
                ""
                if what and what["dropped"]
                else apply_edits(row["text"], spans_of(what and what["removed"]))
            )
    expected = [text if text.strip() else "" for text in cut(texts, n)]
    assert left == expected
    assert figures["removed_spans"] > 200


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(1, 6), max_size=60), st.integers(1, 8))
def test_every_run_of_grams_has_the_anchor_its_content_chooses(values: list[int], span: int) -> None:
    grams = np.array(values, np.uint64)
    chosen = chosen_anchors(grams, np.array([0, len(grams)]), span)
    expected = set()
    for k in range(len(values) - span + 1):
        window = values[k : k + span]
        expected.add(k + max(i for i, value in enumerate(window) if value == min(window)))
    assert set(np.flatnonzero(chosen).tolist()) == expected
