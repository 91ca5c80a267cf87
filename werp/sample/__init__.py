"""The project's own sample crawl: a small, deterministic stand-in for a segment of Common Crawl.

About 160 pages of 15 invented sites (all under `.example`) in six languages, written for this
project, and one record or more for every way in which a record can end under the recipe
`gopher_only`. `content/*.md` holds the prose; `expected.jsonl`, written beside the crawl, holds
the verdict that the author of each record intends. Nothing computes these verdicts.

    python -m werp.sample DIR
"""

from __future__ import annotations

import json
from pathlib import Path

from werp.sample.crawl import FOLDER, files

__all__ = ["write_sample"]


def write_sample(directory: Path) -> Path:
    """Write `crawl/CC-MAIN-2026-05/segment-0/warc/*` and `expected.jsonl`; returns the directory.

    The bytes are the same every time (with the same zlib and Brotli). `expected.jsonl` has one
    line a record or damage, in the order of files and records:

    file: name relative to `crawl`;  url, record_type: null for damage
    outcome: kept, dropped or failed;  stage, rule: as in the ledger, null for kept
    why: the author's reason;  kind: article, forum, spam, ...
    charset: the encoding the record's text is really in; null for damage

    Raises `OSError` when the directory can't be written.
    """
    folder = directory / "crawl" / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for file in files():
        (folder / file.name).write_bytes(file.data)
        lines += [json.dumps(row, ensure_ascii=False) + "\n" for row in file.rows]
    (directory / "expected.jsonl").write_text("".join(lines), "utf-8")
    return directory
