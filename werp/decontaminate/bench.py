"""Proof and speed of contamination matching.

    python -m werp.decontaminate.bench --data DATA                                       # planted and clean
    python -m werp.decontaminate.bench --data DATA --peer .peers/datatrove/bin/python    # speed, datatrove's too

`DATA` holds `benchmarks/` and `corpora/`. Prints JSON. Items are planted into real web pages (C4) verbatim,
lightly edited (one word in ten changed, letter case and punctuation lost), and broken over short lines with
an option letter before the answer. Every hit on the clean documents is printed to be read.
"""

from __future__ import annotations

import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from werp.decontaminate.find import Hit, find_items
from werp.decontaminate.index import Index, build
from werp.decontaminate.items import Item, read_items
from werp.quality.rows import json_lines

PLANTED = 504  # 56 of each benchmark
_CLEAN = (
    "c4-sample", "usgov", "openstax", "openstax-2", "eltec-eng", "gutenberg-2", "gutenberg-3", "wikipedia",
    "speeches",
)  # fmt: skip
_BATCH = 128


def main(
    data: Annotated[Path, typer.Option(help="folder with benchmarks/ and corpora/")],
    peer: Annotated[Path | None, typer.Option(help="a Python with datatrove: compare speed alone")] = None,
) -> None:
    """Measure and print JSON."""
    items = read_items(data / "benchmarks")
    started = time.perf_counter()
    index = build(items)
    result: dict[str, Any] = {
        "items": len(items), "index_seconds": round(time.perf_counter() - started, 2),
        "index_mb": round(index.nbytes / 1e6, 1), "unsearchable": index.unsearchable,
    }  # fmt: skip
    pages = texts_of(data, "c4-sample")
    if peer is not None:
        result["speed"] = beside_peer(items, index, [*pages, *texts_of(data, "openstax")[:700]], peer)
    else:
        result["planted"] = {way: planted(items, index, pages, way) for way in WAYS}
        result["clean"] = clean(data, index)
    result["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(result, indent=2, ensure_ascii=False))


def texts_of(data: Path, name: str) -> list[str]:
    """The texts of a corpus."""
    return [str(row["text"]) for _, row in json_lines(data / "corpora" / f"{name}.jsonl.xz")]


def sample(items: list[Item]) -> list[Item]:
    """As many items of each benchmark, by a fixed seed."""
    random_ = random.Random(0)
    tasks = sorted({item.task for item in items})
    return [
        item
        for task in tasks
        for item in random_.sample([i for i in items if i.task == task], PLANTED // len(tasks))
    ]


def verbatim(item: Item, _: random.Random) -> str:
    """Question and answer as published."""
    return f"{item.question}\n{item.answer}".strip()


def edited(item: Item, random_: random.Random) -> str:
    """No capitals, no punctuation, and one word in ten another."""
    words = re.sub(r"[^\w\s]", "", verbatim(item, random_).lower()).split()
    return " ".join("other" if random_.random() < 0.1 else word for word in words)


def split_lines(item: Item, _: random.Random) -> str:
    """Six words a line, and an option letter before the answer."""
    words = item.question.split()
    lines = [" ".join(words[k : k + 6]) for k in range(0, len(words), 6)]
    return "\n".join([*lines, *([f"(B) {item.answer}"] if item.answer else [])])


WAYS = {"verbatim": verbatim, "edited": edited, "split_lines": split_lines}


def planted(items: list[Item], index: Index, pages: list[str], way: str) -> dict[str, Any]:
    """Recall on planted items, over all and by benchmark, and the items missed."""
    random_ = random.Random(1)
    chosen = sample(items)
    texts = []
    for item in chosen:
        page = random_.choice(pages)
        at = random_.randrange(len(page))
        texts.append(f"{page[:at]}\n\n{WAYS[way](item, random_)}\n\n{page[at:]}")
    found = find_items(texts, index)
    hit = [
        any((h.task, h.item) == (i.task, i.name) for h in hits) for i, hits in zip(chosen, found, strict=True)
    ]
    tasks = sorted({i.task for i in chosen})
    by_task: Counter[str] = Counter(i.task for i, there in zip(chosen, hit, strict=True) if there)
    return {
        "items": len(chosen), "recall": round(sum(hit) / len(hit), 4),
        "recall_by_task": {t: round(by_task[t] * len(tasks) / len(chosen), 3) for t in tasks},
        "missed": [f"{i.task}/{i.name}" for i, there in zip(chosen, hit, strict=True) if not there][:40],
    }  # fmt: skip


def clean(data: Path, index: Index) -> dict[str, Any]:
    """Hits on documents that nobody planted anything in, each with what it is."""
    by_name = {(item.task, item.name): item for item in index.items}
    documents = characters = 0
    hits: list[dict[str, Any]] = []
    seconds = 0.0
    for name in _CLEAN:
        texts = texts_of(data, name)
        for first in range(0, len(texts), _BATCH):
            batch = texts[first : first + _BATCH]
            started = time.perf_counter()
            found = find_items(batch, index)
            seconds += time.perf_counter() - started
            documents, characters = documents + len(batch), characters + sum(map(len, batch))
            for offset, (text, own) in enumerate(zip(batch, found, strict=True)):
                if own:
                    hits.append({"document": f"{name}:{first + offset + 1}", **_shown(text, own[0], by_name)})
    return {
        "documents": documents, "characters": characters, "documents_hit": len(hits),
        "share": round(len(hits) / documents, 6),
        "mb_per_second": round(characters / seconds / 1e6, 2), "hits": hits,
    }  # fmt: skip


def _shown(text: str, hit: Hit, items: dict[tuple[str, str], Item]) -> dict[str, Any]:
    item = items[hit.task, hit.item]
    return {
        "rule": hit.rule, "item": f"{hit.task}/{hit.item}",
        "question": item.question[-300:], "answer": item.answer,
        "text": " ".join(text[hit.start : hit.end][:400].split()),
    }  # fmt: skip


def beside_peer(items: list[Item], index: Index, texts: list[str], peer: Path) -> dict[str, Any]:
    """Documents per second of both filters on the same texts, one process each, ours before and after."""
    ours = [_ours(texts, index)]
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "task.json"
        task.write_text(json.dumps({"items": [i._asdict() for i in items], "texts": texts}))
        script = Path(__file__).with_name("bench_peer.py")
        done = subprocess.run(
            [str(peer), str(script), str(task)], capture_output=True, text=True, check=False, cwd=folder
        )
        if done.returncode:
            sys.exit(f"{peer}: {done.stderr[-2000:]}")
        theirs = json.loads(done.stdout.splitlines()[-1])
    ours.append(_ours(texts, index))
    return {
        "documents": len(texts), "characters": sum(map(len, texts)),
        "ours_per_second": [round(v, 1) for v in ours],
        "datatrove": theirs, "ratio": round(min(ours) / theirs["per_second"], 1),
    }  # fmt: skip


def _ours(texts: list[str], index: Index) -> float:
    find_items(texts[:8], index)  # compiled, or read from numba's cache
    started = time.perf_counter()
    for first in range(0, len(texts), _BATCH):
        find_items(texts[first : first + _BATCH], index)
    return len(texts) / (time.perf_counter() - started)


if __name__ == "__main__":
    typer.run(main)
