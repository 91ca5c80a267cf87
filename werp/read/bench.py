"""Speed of the reader beside warcio and FastWARC on the same files, in one run.

    python -m werp.read.bench FILE [FILE ...]

All three must first give the same records (type and whole content), else it stops. Each reads the
whole content; rounds are interleaved and the best of them counts, as other load only ever slows.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from fastwarc.warc import ArchiveIterator as FastIterator
from warcio.archiveiterator import ArchiveIterator

from werp.read import Record, read_records

Item = tuple[str, bytes]


def _werp(path: Path) -> Iterator[Item]:
    for record in read_records(path):
        if isinstance(record, Record) and record.block is not None:
            yield record.record_type, record.block


def _warcio(path: Path) -> Iterator[Item]:
    with open(path, "rb") as file:
        for record in ArchiveIterator(file, no_record_parse=True):
            yield record.rec_type, record.raw_stream.read()


def _fastwarc(path: Path) -> Iterator[Item]:
    with open(path, "rb") as file:
        for record in FastIterator(file, parse_http=False):
            yield str(record.record_type).rpartition(".")[2], record.reader.read()


READERS: dict[str, Callable[[Path], Iterator[Item]]] = {
    "werp": _werp,
    f"warcio {version('warcio')}": _warcio,
    f"fastwarc {version('fastwarc')}": _fastwarc,
}


def _digests(read: Callable[[Path], Iterator[Item]], path: Path) -> list[tuple[str, bytes]]:
    return [(kind, hashlib.sha1(block, usedforsecurity=False).digest()) for kind, block in read(path)]


def _seconds(read: Callable[[Path], Iterator[Item]], paths: list[Path]) -> float:
    began = time.perf_counter()
    for path in paths:
        for _ in read(path):
            pass
    return time.perf_counter() - began


def main() -> None:
    """Check, measure, print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    records = 0
    for path in arguments.files:
        ours, *others = (_digests(read, path) for read in READERS.values())
        for name, theirs in zip(list(READERS)[1:], others, strict=True):
            if theirs != ours:
                parser.error(f"{path}: werp gives {len(ours)} records, {name} {len(theirs)} or other content")
        records += len(ours)
    best = dict.fromkeys(READERS, float("inf"))
    for _ in range(arguments.rounds):
        for name, read in READERS.items():
            best[name] = min(best[name], _seconds(read, arguments.files))
    size = sum(path.stat().st_size for path in arguments.files)
    print(f"{records} records, {size / 1e6:.1f} MB packed; the same records from all three.\n")
    print("| reader | seconds | records/s | werp is so many times as fast |\n|---|---|---|---|")
    for name, seconds in best.items():
        print(f"| {name} | {seconds:.3f} | {records / seconds:.0f} | {seconds / best['werp']:.2f} |")


if __name__ == "__main__":
    main()
