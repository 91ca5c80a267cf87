"""Speed and truth of deduplication on real prose with planted copies; prints JSON.

    python -m werp.dedup.bench signatures --corpora DIR [--peers PYTHON]
        one thread, beside datasketch, rensa and datatrove
    python -m werp.dedup.bench scale --corpora DIR --documents 50000 100000 200000 400000
        signatures to removal: core seconds, memory
    python -m werp.dedup.bench clusters --corpora DIR --documents 200000
        whether clusters equal a plain union-find at 1, 2 and 16 tasks
    python -m werp.dedup.bench curve --corpora DIR
        recall of planted pairs beside the S-curve of the bands
    python -m werp.dedup.bench skew --corpora DIR
        slowest task beside the median, with 20,000 pages that differ in one word each

`make peers` makes the interpreter that `--peers` names (.peers/dedup/bin/python). Every number is of this
machine and run; what is to be compared stands in one run. Core seconds are CPU time of the process tree,
JVM included.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from werp.dedup.context import Context, Source
from werp.dedup.peers import best
from werp.dedup.planted import near_copy, passages, read_found, source_of, union_find, write_tables
from werp.dedup.run import Stage, deduplicate
from werp.dedup.verify import jaccard
from werp.signals.batch import TextBatch
from werp.signals.minhash import MinHash
from werp.signals.shingles import shingles, signatures
from werp.signals.words import native
from werp.signals.xxh3 import xxh3_64
from werp.stages.signals import write_signals

_FINEWEB = MinHash(preset="fineweb")


def session(events: Path | None = None) -> Any:
    """A local Spark session of two cores."""
    from pyspark.sql import SparkSession  # noqa: PLC0415

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "2g").config("spark.log.level", "ERROR")
    builder = builder.config("spark.ui.showConsoleProgress", "false").config("spark.driver.host", "127.0.0.1")
    if events is not None:
        builder = builder.config("spark.eventLog.enabled", "true").config(
            "spark.eventLog.dir", events.as_uri()
        )
        builder = builder.config("spark.eventLog.compress", "false").config(
            "spark.eventLog.rolling.enabled", "false"
        )
    return builder.getOrCreate()


class Usage:
    """CPU seconds and peak resident memory of this process's descendants while the block runs."""

    def __enter__(self) -> Usage:
        self.seconds, self.peak_mb, self._cpu = 0.0, 0.0, dict[int, float]()
        self._stop = threading.Event()
        self._look()
        self._before = sum(self._cpu.values())
        self._started = time.perf_counter()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
        self.wall = time.perf_counter() - self._started
        self.seconds = sum(self._cpu.values()) - self._before

    def _watch(self) -> None:
        while not self._stop.wait(0.3):
            self._look()

    def _look(self) -> None:
        resident = 0
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                times = process.cpu_times()
                self._cpu[process.pid] = times.user + times.system
                resident += process.memory_info().rss
            except psutil.Error:
                continue
        self.peak_mb = max(self.peak_mb, resident / 2**20)


@native
def _hash_pieces(data: Any, offsets: Any) -> Any:
    out = np.empty(len(offsets) - 1, np.uint64)
    at = data.ctypes.data
    for k in range(len(out)):
        out[k] = xxh3_64(at + offsets[k], offsets[k + 1] - offsets[k])
    return out


def run_signatures(options: argparse.Namespace) -> dict[str, Any]:
    """Documents per second of one thread: 112 permutations, 400 ready-made shingles, and from raw text."""
    size, rows = _FINEWEB.permutations, dict[str, float]()
    chance = np.random.default_rng(1)
    sets = [[chance.bytes(15).hex() for _ in range(400)] for _ in range(3000)]
    data = np.frombuffer("".join(s for document in sets for s in document).encode(), np.uint8)
    offsets = np.arange(0, len(data) + 1, 30)
    firsts = np.arange(0, len(sets) * 400 + 1, 400)
    hashes = _hash_pieces(data, offsets)
    for scheme in ("affine32", "affine64"):
        signatures(hashes, firsts, scheme, size, 1)
        made = best(lambda: signatures(hashes, firsts, scheme, size, 1), 20)  # noqa: B023
        rows[f"werp {scheme}, hashes"] = len(sets) / made
        rows[f"werp {scheme}, bytes"] = len(sets) / (made + best(lambda: _hash_pieces(data, offsets), 20))
    texts = passages(options.corpora, 4000, 2000, 3000)
    batches = [texts[k : k + 256] for k in range(0, len(texts), 256)]

    def sign() -> None:
        for part in batches:
            _FINEWEB.measure(TextBatch(part, part, part))

    sign()
    rows["werp, raw text"] = len(texts) / best(sign, 5)
    if options.peers:
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump({"shingles": sets, "permutations": size, "texts": texts}, file)
            file.flush()
            script = str(Path(__file__).with_name("peers.py"))
            done = subprocess.run([options.peers, script, file.name], stdout=subprocess.PIPE, check=True)
        rows |= json.loads(done.stdout.splitlines()[-1])
        raw, bulk = rows["datatrove signature step, raw text"], rows["datasketch MinHash.bulk, bytes"]
        ratios = {
            "werp affine64 / datasketch bulk": rows["werp affine64, bytes"] / bulk,
            "werp affine32 / rensa, hashes": rows["werp affine32, hashes"] / rows["rensa, hashes"],
            "werp affine32 / rensa, bytes": rows["werp affine32, bytes"] / rows["rensa, bytes"],
            "werp affine64 / datatrove, raw text": rows["werp, raw text"] / raw,
        }
    else:
        ratios = {}
    return {"documents_per_second": {k: round(v) for k, v in rows.items()}, "ratios": _rounded(ratios)}


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


def planted(corpora: Path, count: int, share: float = 0.1, longest: int = 500) -> list[str]:
    """`count` documents, a share of them near-copies of others."""
    chance = random.Random(7)
    texts = passages(corpora, int(count * (1 - share)), longest * 3 // 5, longest)
    texts += [
        near_copy(chance.choice(texts), chance.randint(1, 5), chance) for _ in range(count - len(texts))
    ]
    chance.shuffle(texts)
    return texts


def laid_out(folder: Path, texts: list[str], per_file: int) -> list[Source]:
    """Tables of the texts, so many in a file; signals are not measured yet."""
    sources = []
    for unit, first in enumerate(range(0, len(texts), per_file)):
        sources.append(source_of(folder, f"part-{unit:04d}"))
        write_tables(sources[-1], texts[first : first + per_file], "2026-01-01T00:00:00Z")
    return sources


def measure(spark: Any, folder: Path, sources: list[Source], stages: list[Stage], slices: int) -> None:
    """Signals of all sources, in Spark tasks."""

    def work(unit: int) -> None:
        source = sources[unit]
        source.signals.parent.mkdir(parents=True, exist_ok=True)
        write_signals(
            source.documents, source.signals, [s for s in stages if s.measures], None, folder / "tmp"
        )

    spark.sparkContext.parallelize(range(len(sources)), min(slices, len(sources))).foreach(work)


def dedup(
    spark: Any, folder: Path, sources: list[Source], stages: list[Stage], slices: int
) -> tuple[Any, Any]:
    """Run the stages; returns (figures, targets)."""
    targets = [folder / "dedup" / f"{unit}.parquet" for unit in range(len(sources))]
    context = Context(tuple(sources), (), (), folder / "phases", folder / "tmp", slices, max(8, slices))
    return deduplicate(spark, context, stages, targets), targets


def remove(spark: Any, folder: Path, sources: list[Source], targets: list[Path]) -> int:
    """Write the texts that stay; returns their number."""

    def work(unit: int) -> int:
        found = pq.read_table(targets[unit], columns=["id", "dropped"])
        gone = set(found.filter(found.column("dropped")).column("id").to_pylist())
        table = pq.read_table(sources[unit].documents, columns=["id", "text"])
        kept = table.filter(pa.array([name not in gone for name in table.column("id").to_pylist()]))
        (folder / "kept").mkdir(exist_ok=True)
        pq.write_table(kept, folder / "kept" / f"{unit}.parquet", compression="zstd")
        return int(kept.num_rows)

    return sum(spark.sparkContext.parallelize(range(len(sources)), len(sources)).map(work).collect())


def warm_up(spark: Any, folder: Path, texts: list[str]) -> None:
    """A small run: the workers load their libraries and compiled code in it, or compile."""
    small = laid_out(folder, texts, 20)
    measure(spark, folder, small, [_FINEWEB], 16)
    dedup(spark, folder, small, [_FINEWEB], 16)


def run_scale(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Signatures to removal at growing sizes."""
    spark, rows = session(), []
    for count in options.documents:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            texts = planted(options.corpora, count)
            size = sum(len(text.encode()) for text in texts)
            warm_up(spark, folder / "small", texts[:320])
            sources = laid_out(folder, texts, 12_500)
            del texts
            with Usage() as signing:
                measure(spark, folder, sources, [_FINEWEB], len(sources))
            with Usage() as linking:
                figures, targets = dedup(spark, folder, sources, [_FINEWEB], len(sources))
            with Usage() as removing:
                kept = remove(spark, folder, sources, targets)
            core = signing.seconds + linking.seconds + removing.seconds
            rows.append(
                {
                    "documents": count, "text_mb": round(size / 1e6, 1), "kept": kept,
                    "rounds": figures["stages"][0]["rounds"],
                    "wall_s": [round(part.wall, 1) for part in (signing, linking, removing)],
                    "core_s": [round(part.seconds, 1) for part in (signing, linking, removing)],
                    "gb_per_core_hour": round(size / 1e9 / (core / 3600), 2),
                    "peak_mb": round(max(part.peak_mb for part in (signing, linking, removing))),
                }
            )  # fmt: skip
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    spark.stop()
    return rows


def run_clusters(options: argparse.Namespace) -> dict[str, Any]:
    """Clusters at 1, 2 and 16 tasks against a union-find."""
    spark = session()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = laid_out(folder, planted(options.corpora, options.documents[0], longest=800), 12_500)
        measure(spark, folder, sources, [_FINEWEB], 2)
        wanted = union_find(sources, _FINEWEB)
        equal = {}
        for slices in (1, 2, 16):
            _, targets = dedup(spark, folder / str(slices), sources, [_FINEWEB], slices)
            found: dict[str, set[str]] = defaultdict(set)
            for row in read_found(targets):
                found[str(row["cluster_id"])].add(str(row["id"]))
            equal[slices] = found == wanted
    spark.stop()
    return {
        "documents": options.documents[0],
        "clusters": len(wanted),
        "clustered": sum(map(len, wanted.values())),
        "equal": equal,
    }


def run_curve(options: argparse.Namespace) -> dict[str, Any]:
    """Recall of planted pairs by true Jaccard similarity, beside 1 - (1 - s**rows)**bands; and precision."""
    chance = random.Random(3)
    originals = passages(options.corpora, options.documents[0] // 2, 1500, 2500)
    texts = originals + [near_copy(text, chance.randint(1, 22), chance) for text in originals]
    sets = []
    for first in range(0, len(texts), 500):
        part = texts[first : first + 500]
        hashes, firsts = shingles(TextBatch(part, part, part), 5, "word", "fineweb")
        sets += [np.unique(hashes[firsts[k] : firsts[k + 1]]) for k in range(len(part))]
    half = len(originals)
    similarity = np.array([jaccard(sets[k], sets[half + k]) for k in range(half)])
    spark = session()
    with tempfile.TemporaryDirectory() as name:
        sources = laid_out(Path(name), texts, 2000)
        measure(spark, Path(name), sources, [_FINEWEB], 2)
        _, targets = dedup(spark, Path(name), sources, [_FINEWEB], 2)
        ids = [i for s in sources for i in pq.read_table(s.signals, columns=["id"]).column("id").to_pylist()]
        cluster = {str(row["id"]): str(row["cluster_id"]) for row in read_found(targets)}
    spark.stop()
    linked = np.array([cluster.get(ids[k], k) == cluster.get(ids[half + k], -1) for k in range(half)])
    bins = []
    for low in np.arange(0.5, 0.95, 0.05):
        mine = (similarity >= low) & (similarity < low + 0.05)
        if mine.sum() < 30:
            continue
        expected = 1 - (1 - similarity[mine] ** _FINEWEB.rows) ** _FINEWEB.bands
        error = float(np.sqrt((expected * (1 - expected)).sum()) / mine.sum())
        off = (linked[mine].mean() - expected.mean()) / max(error, 1e-9)
        values = {
            "from": low,
            "recall": linked[mine].mean(),
            "s_curve": expected.mean(),
            "sigma": error,
            "off": off,
        }
        bins.append({"pairs": int(mine.sum()), **{k: round(float(v), 3) for k, v in values.items()}})
    place = {name: k for k, name in enumerate(ids)}
    groups: dict[str, list[int]] = defaultdict(list)
    for member, key in cluster.items():
        groups[key].append(place[member])
    pairs = [(group[0], other) for group in groups.values() for other in group[1:]]
    alike = np.array([jaccard(sets[a], sets[b]) for a, b in pairs])
    return {
        "pairs": half, "bins": bins, "linked_to_cluster_first": len(alike),
        "of_true_jaccard_below_0.5": int((alike < 0.5).sum()), "lowest": round(float(alike.min()), 3),
    }  # fmt: skip


def run_skew(options: argparse.Namespace) -> dict[str, Any]:
    """Slowest task beside the median of its stage, with 20,000 pages that differ in one word each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "events").mkdir()
        texts = planted(options.corpora, 180_000)
        page = " ".join(passages(options.corpora, 3, 1000, 1200)).split(" ")
        for k in range(20_000):
            texts.append(" ".join([*page[: k % len(page)], f"zq{k}", *page[k % len(page) + 1 :]]))
        random.Random(1).shuffle(texts)
        spark = session(folder / "events")
        warm_up(spark, folder / "small", texts[:320])
        warmed = time.time() * 1000
        sources = laid_out(folder, texts, 12_500)
        measure(spark, folder, sources, [_FINEWEB], 16)
        figures, _ = dedup(spark, folder, sources, [_FINEWEB], 16)
        spark.stop()
        stages: dict[int, list[float]] = defaultdict(list)
        for path in (folder / "events").rglob("*"):
            for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
                event = json.loads(line)
                info = event.get("Task Info", {})
                if event["Event"] == "SparkListenerTaskEnd" and info["Launch Time"] > warmed:
                    stages[event["Stage ID"]].append((info["Finish Time"] - info["Launch Time"]) / 1000)
    slow = {k: (max(v), float(np.median(v))) for k, v in stages.items() if max(v) > 1.0}
    return {
        "largest_cluster": figures["stages"][0]["largest"][0]["size"], "stages": len(stages),
        "stages_over_1_s": len(slow),
        "worst_ratio": round(max((most / middle for most, middle in slow.values()), default=0.0), 2),
        "slowest_and_median_s": [[round(most, 2), round(middle, 2)] for most, middle in slow.values()],
    }  # fmt: skip


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["signatures", "scale", "clusters", "curve", "skew"])
    parser.add_argument(
        "--corpora", type=Path, required=True, help="folder of .jsonl.xz files with a text in each row"
    )
    parser.add_argument("--documents", type=int, nargs="+", default=[50_000])
    parser.add_argument("--peers", help="interpreter with rensa, datatrove and datasketch")
    options = parser.parse_args()
    work = {
        "signatures": run_signatures, "scale": run_scale, "clusters": run_clusters, "curve": run_curve,
        "skew": run_skew,
    }[options.what]  # fmt: skip
    print(json.dumps(work(options), indent=1))  # type: ignore[operator]


if __name__ == "__main__":
    main()
