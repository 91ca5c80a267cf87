"""The parallel form of old_both against the loop that defines it, and what its removals leave."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.dedup.conftest import found
from werp.dedup.context import Source
from werp.dedup.old_both import bloom_shard
from werp.dedup.planted import passages, write_sources
from werp.dedup.stages import OldBoth
from werp.edits import apply_edits, spans_of
from werp.errors import WerpError
from werp.signals.batch import TextBatch
from werp.signals.length import Length

_STAGE = OldBoth()


def loop(texts: list[str], n: int = 13, threshold: float = 0.8) -> list[str | None]:
    """DCLM's old-both over texts in order, by the letter: what is left of each, None where it is dropped."""
    seen: set[tuple[str, ...]] = set()
    out: list[str | None] = []
    for text in texts:
        pieces = [piece if k == 0 else "\n" + piece for k, piece in enumerate(text.split("\n"))]
        kept, contained_all, total_all = [], 0, 0
        for piece in pieces:
            words = TextBatch([""], [""], [piece]).words(0)
            grams = [tuple(words[k : k + n]) for k in range(len(words) - n + 1)]
            contained = sum(gram in seen for gram in grams)
            contained_all, total_all = contained_all + contained, total_all + len(grams)
            if grams and contained / len(grams) > threshold:
                continue
            seen.update(grams)
            kept.append(piece)
        whole = total_all and contained_all / total_all > threshold
        left = "".join(kept)
        out.append(None if whole or not left.strip() else left)
    return out


def chained(corpora: Path, count: int) -> list[str]:
    """Documents of several lines in which lines wander: copied, cut, joined, and copied from copies."""
    chance = random.Random(11)
    lines = passages(corpora, count, 90, 250)
    documents: list[str] = []
    for k in range(count):
        body = [lines[k]]
        for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
            if not documents:
                break
            other = chance.choice(documents[-400:] if chance.random() < 0.5 else documents).split("\n")
            line = chance.choice(other)
            words = line.split(" ")
            if chance.random() < 0.4 and len(words) > 10:  # now and then nearly the share that decides
                cut = chance.randint(1, len(words) // 3)
                line = " ".join(words[cut:]) + " " + lines[chance.randrange(count)][: 30 * cut]
            body.insert(chance.randrange(len(body) + 1), line)
        if chance.random() < 0.1 and documents:
            body = chance.choice(documents).split("\n")
        if chance.random() < 0.2:
            body.insert(0, "a short line")
        documents.append("\n".join(body))
    return documents


def left_of(sources: list[Source], rows: list[dict[str, Any]]) -> list[str | None]:
    by_id = {row["id"]: row for row in rows}
    out: list[str | None] = []
    for source in sources:
        for row in pq.read_table(source.documents).to_pylist():
            what = by_id.get(row["id"])
            gone = what is not None and what["dropped"]
            out.append(None if gone else apply_edits(row["text"], spans_of(what["removed"] if what else [])))
    return out


@pytest.fixture(scope="module")
def texts(werp_data: Path) -> list[str]:
    return chained(werp_data / "corpora", 3000)


@pytest.fixture(scope="module")
def expected(texts: list[str]) -> list[str | None]:
    return loop(texts)


@pytest.mark.parametrize(("files", "slices"), [(16, 1), (16, 2), (16, 16), (5, 0), (1, 0)])
def test_the_parallel_form_is_the_loop(
    spark: Any, texts: list[str], expected: list[str | None], tmp_path: Path, files: int, slices: int
) -> None:
    size = -(-len(texts) // files)
    parts = [texts[k * size : (k + 1) * size] for k in range(files)]
    sources = write_sources(tmp_path / "tables", parts, [Length()])
    session = spark if slices else None  # 0: in this process
    rows, (figures,) = found(session, sources, [_STAGE], tmp_path, slices)
    assert left_of(sources, rows) == expected
    assert sum(text is None for text in expected) > 100
    assert figures["removed_spans"] > 300
    assert figures["rounds"] >= {16: 3, 5: 2, 1: 1}[files]


def test_a_paragraph_at_the_threshold_stays_and_one_above_goes(tmp_path: Path) -> None:
    words = [f"w{k}" for k in range(112)]
    first = " ".join(words)  # 100 n-grams
    at = " ".join([*words[:92], *"abcdefghijklmnopqrst"])
    above = " ".join([*words[:93], *"ABCDEFGHIJKLMNOPQRS"])
    tail = " ".join([*words[81:93], *"ABCDEFGHIJKLMNOPQRS"])  # its n-grams went unseen: the page stays
    # A page at the threshold stays, too, but for the paragraph of 80 n-grams that were all seen.
    page = f"{' '.join(words[:92])}\n{' '.join(f'v{k}' for k in range(32))}"
    sources = write_sources(tmp_path / "tables", [[first], [at, above, tail, page]], [Length()])
    rows, _ = found(None, sources, [_STAGE], tmp_path)
    assert [(row["rule"], row["similarity"]) for row in rows] == [
        ("old_both.v1.document", 0.81), ("old_both.v1.paragraph", 0.8),
    ]  # fmt: skip


def test_rounds_that_do_not_suffice_are_an_error(texts: list[str], tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "tables", [texts[k::4] for k in range(4)], [Length()])
    with pytest.raises(WerpError, match="did not settle in 1 rounds"):
        found(None, sources, [OldBoth(max_rounds=1)], tmp_path)


def test_bloom_mode_is_the_loop_of_each_shard_but_for_its_error(texts: list[str], tmp_path: Path) -> None:
    parts = [texts[k * 375 : (k + 1) * 375] for k in range(8)]
    sources = write_sources(tmp_path / "tables", parts, [Length()])
    stage = OldBoth(mode="bloom", bloom_shards=3, bloom_mb=4)
    rows, (figures,) = found(None, sources, [stage], tmp_path)
    assert 0 <= figures["false_positive_rate"] < 1e-3
    left = left_of(sources, rows)
    differing = 0
    for shard in range(3):
        units = [u for u, source in enumerate(sources) if bloom_shard(source.name, 3) == shard]
        wanted = loop([text for u in units for text in parts[u]])
        got = [text for u in units for text in left[u * 375 : (u + 1) * 375]]
        differing += sum(a != b for a, b in zip(wanted, got, strict=True))
    assert differing == 0
    small = stage.model_copy(update={"bloom_mb": 1, "bloom_max_error": 1e-30})
    with pytest.raises(WerpError, match=r"Raise old_both\.bloom_mb"):
        found(None, sources, [small], tmp_path / "again")
