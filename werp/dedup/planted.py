"""Texts with known copies, and tables made of them: what tests and benchmarks of deduplication run on."""

from __future__ import annotations

import hashlib
import json
import lzma
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from werp.dedup.context import Source
from werp.signals.base import Rule
from werp.signals.minhash import MinHash
from werp.stages.signals import write_signals
from werp.tables import DOCUMENTS, RECORDS

TABLES = ("records", "documents", "signals")


def passages(corpora: Path, count: int, shortest: int = 400, longest: int = 800, seed: int = 1) -> list[str]:
    """The first `count` passages of real prose, `shortest` to `longest` characters, cut at spaces.

    corpora: the folder of `.jsonl.xz` files with a `text` in each row. Rows of several files are mixed, so
    that a small count holds several kinds of prose.
    """
    lengths = random.Random(seed)
    files = [path for path in sorted(corpora.glob("*.jsonl.xz")) if not path.name.startswith("udhr")]
    out: list[str] = []
    for text in _alternating([_texts(path) for path in files]):
        at = 0
        while at < len(text):
            end = at + lengths.randint(shortest, longest)
            space = text.rfind(" ", at + shortest, end) if end < len(text) else len(text)
            end = space if space > 0 else end
            if end - at >= shortest:
                out.append(text[at:end].strip())
                if len(out) == count:
                    return out
            at = end
    return out


def _texts(path: Path) -> Iterator[str]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line).get("text")
            if text:
                yield text


def _alternating(sources: list[Iterator[str]]) -> Iterator[str]:
    while sources:
        for source in list(sources):
            text = next(source, None)
            if text is None:
                sources.remove(source)
            else:
                yield text


def near_copy(text: str, words: int, chance: random.Random) -> str:
    """The text with that many of its words, far apart, replaced by made-up ones."""
    parts = text.split(" ")
    places = range(0, len(parts), max(1, len(parts) // max(words, 1)))
    for place in chance.sample(places, min(words, len(places))):
        parts[place] = f"zq{chance.randrange(10**6)}"
    return " ".join(parts)


def write_sources(
    folder: Path, texts: Sequence[Sequence[str]], rules: Iterable[Rule], dates: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
) -> list[Source]:  # fmt: skip
    """Tables of one input file for each list of texts, signals measured by `rules`.

    dates: of each file's records. names: the files' names, in order; default by number.
    """
    rules = list(rules)
    sources = []
    for unit, unit_texts in enumerate(texts):
        name = names[unit] if names else f"part-{unit:04d}"
        source = source_of(folder, name)
        write_tables(source, unit_texts, dates[unit] if dates else "2026-01-01T00:00:00Z")
        source.signals.parent.mkdir(parents=True, exist_ok=True)
        write_signals(source.documents, source.signals, rules, None, folder / "tmp")
        sources.append(source)
    return sources


def source_of(folder: Path, name: str) -> Source:
    """Where the tables of a file of this name lie."""
    records, documents, signals = (folder / table / f"{name}.parquet" for table in TABLES)
    return Source(name, records, documents, signals)


def write_tables(source: Source, texts: Sequence[str], date: str) -> None:
    """The `records` and `documents` tables of one file of pages."""
    for path in (source.records, source.documents):
        path.parent.mkdir(parents=True, exist_ok=True)
    ids = [hashlib.sha256(f"{source.name}\0{row}".encode()).hexdigest()[:32] for row in range(len(texts))]
    records = [
        {"warc_file": source.name, "warc_offset": row, "url": f"https://{source.name}/{row}"}
        | {"date": date, "id": name}
        for row, name in enumerate(ids)
    ]
    pq.write_table(pa.Table.from_pylist(records, RECORDS), source.records)
    documents = [
        {"id": name, "url": f"https://{source.name}/{row}", "text": text, "removed": []}
        for row, (name, text) in enumerate(zip(ids, texts, strict=True))
    ]
    pq.write_table(pa.Table.from_pylist(documents, DOCUMENTS), source.documents, row_group_size=4096)


def read_found(targets: Sequence[Path]) -> list[dict[str, object]]:
    """All rows that a run of deduplication wrote."""
    return [row for target in targets for row in pq.read_table(target).to_pylist()]


def union_find(sources: Sequence[Source], stage: MinHash) -> dict[str, set[str]]:
    """Clusters of two or more by their first member, from the stored signatures' bands.

    Dictionaries and a loop, nothing of what it is there to prove.
    """
    parent: list[int] = []

    def root(x: int) -> int:
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    names: list[str] = []
    buckets: dict[tuple[int, bytes], int] = {}
    for source in sources:
        table = pq.read_table(source.signals, columns=["id", "minhash.signature"])
        for row in table.to_pylist():
            node, signature = len(names), row["minhash.signature"]
            names.append(row["id"])
            parent.append(node)
            width = len(signature or b"") // stage.bands
            for band in range(stage.bands if signature else 0):
                first = buckets.setdefault((band, signature[band * width : (band + 1) * width]), node)
                a, b = root(first), root(node)
                parent[max(a, b)] = min(a, b)
    clusters: dict[int, set[str]] = defaultdict(set)
    for node, name in enumerate(names):
        clusters[root(node)].add(name)
    return {names[first]: members for first, members in clusters.items() if len(members) > 1}
