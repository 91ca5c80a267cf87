"""The tokenizing job on Spark: a task a file, one thread of the tokenizer a task."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from werp.errors import WerpError
from werp.tokens.encode import encode_named

Task = tuple[str, str, str, str, str]


def run_on_spark(tasks: Sequence[Task], workers: int | None = None) -> None:
    """Run the tasks on the session that spark-submit set up, or on this machine's cores.

    The folder that is written must be one that every executor sees.
    """
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415
    except ImportError as error:
        raise WerpError("Spark is not installed here; tokenize with --no-spark, on one machine") from error
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder: Any = SparkSession.builder.appName("werp tokenize")
    if "SPARK_MASTER" not in os.environ and not os.environ.get("SPARK_ENV_LOADED"):
        builder = builder.master(f"local[{workers or '*'},4]")
    for key, value in {
        "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "true", "spark.log.level": "ERROR",
        "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
        "spark.locality.wait": "0s",
    }.items():  # fmt: skip
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    try:
        # Long files first would be better for the tail, but sizes say little: files are of one target size.
        spark.sparkContext.parallelize(list(tasks), max(1, len(tasks))).foreachPartition(encode_partition)
    finally:
        spark.stop()


def encode_partition(tasks: Iterable[Task]) -> None:
    """One task's files. A task has one core, so the tokenizer gets one thread."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    for file, field, tokenizer, ids, lengths in tasks:
        # A retry, or a second try run for speed, writes names of its own; the last rename holds the same
        # bytes.
        mark = f".{os.getpid()}"
        encode_named(file, field, tokenizer, ids + mark, lengths + mark)
        os.replace(ids + mark, ids)
        os.replace(lengths + mark, lengths)
