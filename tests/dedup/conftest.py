"""A Spark session for the tests of deduplication, and a run of some stages over made tables."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from werp.dedup.context import Context, Source
from werp.dedup.planted import read_found
from werp.dedup.run import Stage, deduplicate


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """For a file: a process has one session, which another file's tests may end, or want for their own."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "2g").config("spark.log.level", "ERROR")
    session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    yield session
    session.stop()


def found(
    spark: Any, sources: Sequence[Source], stages: Sequence[Stage], folder: Path, slices: int = 2
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run the stages; returns the rows of all units, and each stage's figures."""
    targets = [folder / "dedup" / f"{unit}.parquet" for unit in range(len(sources))]
    context = Context(tuple(sources), (), (), folder / "phases", folder / "tmp", slices, max(1, slices))
    done = deduplicate(spark, context, stages, targets)
    return read_found(targets), done["stages"]


def two_crawls(folder: Path, texts: Sequence[str], parts: int, chance: random.Random) -> Path:
    """Write the texts as pages of two crawls, a/ and b/, in so many files by turns; the dates are mixed."""
    for part in range(parts):
        crawl = folder / "ab"[part % 2]
        crawl.mkdir(exist_ok=True)
        with (crawl / f"part-{part}.jsonl").open("w", encoding="utf-8") as file:
            for row, text in enumerate(texts[part::parts]):
                date = f"2026-0{chance.randint(1, 9)}-01T00:00:00Z"
                url = f"https://site-{part}.example/{row}"
                file.write(json.dumps({"text": text, "url": url, "date": date}) + "\n")
    return folder
