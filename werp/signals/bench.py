"""Speed of the signals: `python -m werp.signals.bench FILE.jsonl[.xz|.gz] [--limit N] [--rounds N]`.

Measures length, Gopher quality and Gopher repetition (datatrove's counting) together, on one core, against a
plain Python implementation in the same run and, where datatrove is importable, against its two filters, whose
decisions are compared as well. Each line of FILE is a JSON object with `text` (or `gold_text`).
Speeds are the best of some rounds; the peers run once.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import importlib.util
import json
import lzma
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from werp.signals.base import Rule
from werp.signals.batch import TextBatch
from werp.signals.gopher_quality import STOP_WORDS, GopherQuality
from werp.signals.gopher_repetition import GopherRepetition
from werp.signals.length import Length

_BATCH = 1_000  # documents
_WORD = re.compile(r"\w+|[^\w\s]")


def read_texts(path: Path, limit: int | None) -> list[str]:
    """Texts of a JSON lines file."""
    openers: dict[str, Callable[..., Any]] = {".xz": lzma.open, ".gz": gzip.open}
    opened = openers.get(path.suffix, open)
    with opened(path, "rt", encoding="utf-8") as lines:
        rows = (json.loads(line) for line in islice(lines, limit))
        return [text for row in rows if (text := row.get("text") or row.get("gold_text"))]


def measure(texts: list[str], rules: list[Rule]) -> list[dict[str, Any]]:
    """All signals of all texts, in batches."""
    parts = []
    for first in range(0, len(texts), _BATCH):
        part = texts[first : first + _BATCH]
        batch = TextBatch([""] * len(part), [""] * len(part), part)
        parts.append({name: column for rule in rules for name, column in rule.measure(batch).items()})
    return parts


def plain(text: str) -> list[float]:
    """The same measures with strings and counters; words by a regular expression."""
    words, lines = _WORD.findall(text), text.splitlines()
    texts = [w for w in words if w[0].isalnum()]
    out = [
        len(text),
        len(texts),
        sum(map(len, texts)) / max(1, len(texts)),
        len(set(words) & set(STOP_WORDS)),
    ]
    out += [text.count(mark) / max(1, len(words)) for mark in ("#", "...", "…")]
    out.append(sum(line.lstrip().startswith(("•", "-")) for line in lines) / max(1, len(lines)))
    out.append(sum(line.rstrip().endswith(("...", "…")) for line in lines) / max(1, len(lines)))
    out.append(sum(any(map(str.isalpha, w)) for w in words) / max(1, len(words)))
    for pieces in (re.split(r"\n+", text), re.split(r"\n{2,}", text.strip())):
        later = list((Counter(pieces) - Counter(set(pieces))).elements())
        out += [len(later) / len(pieces), sum(map(len, later)) / len(text)]
    for n in range(2, 11):
        grams = list(zip(*(words[i:] for i in range(n)), strict=False))
        if n < 5:
            ((gram, count),) = Counter(grams).most_common(1) or [((), 0)]
            out.append((sum(map(len, gram)) + n - 1) * count / len(text))
            continue
        met, total, i = set(), 0, 0
        while i < len(grams):
            seen = grams[i] in met
            met.add(grams[i])
            total += sum(map(len, grams[i])) if seen else 0
            i += n if seen else 1
        out.append(total / len(text))
    return out


def keeps(rules: list[Rule], parts: list[dict[str, Any]]) -> list[bool]:
    """Whether each text passes every check of the rules."""
    kept: list[bool] = []
    for columns in parts:
        dropped = [False] * len(next(iter(columns.values())))
        for check in (check for rule in rules for check in rule.checks()):
            sign = -1 if check.drop_if == "<" else 1
            for t, value in enumerate(columns[check.signal].to_pylist()):
                dropped[t] |= value is not None and sign * value > sign * check.threshold  # type: ignore[operator]
        kept += [not drop for drop in dropped]
    return kept


def datatrove_keeps(texts: list[str]) -> Callable[[], list[bool]] | None:
    """datatrove's verdict of both filters on each text, None where it is not installed."""
    try:
        from datatrove.data import Document  # type: ignore[import-not-found]  # noqa: PLC0415
        from datatrove.pipeline.filters import (  # type: ignore[import-not-found]  # noqa: PLC0415
            GopherQualityFilter,
            GopherRepetitionFilter,
        )
    except ImportError:
        return None
    filters = [GopherQualityFilter(), GopherRepetitionFilter()]

    def run() -> list[bool]:
        # Both filters see every text, as both of our rules do; its word split is cached between them.
        verdicts = [[f.filter(Document(text=text, id="")) is True for f in filters] for text in texts]
        return [all(verdict) for verdict in verdicts]

    return run


def timed(run: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Seconds of the best round, and its result."""
    best, result = float("inf"), None
    for _ in range(rounds):
        begin = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - begin)
    return best, result


def main(arguments: list[str] | None = None) -> None:
    """Print versions, speeds and ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--limit", type=int, help="documents read at most")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)

    texts = read_texts(options.file, options.limit)
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / 1e6
    rules: list[Rule] = [Length.model_validate({}), GopherQuality(), GopherRepetition()]
    names = [n for n in ("numba", "numpy", "pyarrow", "datatrove", "spacy") if importlib.util.find_spec(n)]
    print(
        f"python {sys.version.split()[0]}", *(f"{n} {importlib.metadata.version(n)}" for n in names), sep=", "
    )
    print(f"{len(texts)} documents, {size:.1f} MB, one core")

    warm, _ = timed(lambda: measure(texts[:1], rules), 1)
    print(f"first batch (imports, compiled code from the cache or anew): {warm:.2f} s")
    ours, parts = timed(lambda: measure(texts, rules), options.rounds)
    verdicts = keeps(rules, parts)
    peers: list[tuple[str, Callable[[], Any] | None]] = [
        ("plain Python", lambda: [plain(text) for text in texts]),
        ("datatrove", datatrove_keeps(texts)),
    ]
    print(f"{'werp':14}{len(texts) / ours:10.0f} docs/s {size / ours:8.2f} MB/s")
    for name, run in peers:
        if run is None:
            print(f"{name:14} not installed here")
            continue
        seconds, result = timed(run, 1)
        speed = f"{len(texts) / seconds:10.0f} docs/s {size / seconds:8.2f} MB/s"
        print(f"{name:14}{speed}; werp is {seconds / ours:.1f} times as fast")
        if name == "datatrove":
            equal = sum(a == b for a, b in zip(verdicts, result, strict=True))
            print(f"same verdict of both filters: {equal} of {len(texts)} ({100 * equal / len(texts):.2f} %)")


if __name__ == "__main__":
    main()
