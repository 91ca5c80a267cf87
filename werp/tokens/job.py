"""The tokenizing job on Spark: a task a file, one thread of the tokenizer a task."""

from __future__ import annotations

import os
from collections.abc import Sequence

from werp.errors import WerpError
from werp.session import session
from werp.spread import spread
from werp.tokens.build import Task
from werp.tokens.encode import encode_named


def run_on_spark(tasks: Sequence[Task], workers: int | None = None) -> None:
    """Run the tasks on the session that spark-submit set up, or on this machine's cores.

    The folder that is written must be one that every executor sees.
    """
    try:
        import pyspark  # noqa: F401, PLC0415
    except ImportError as error:
        raise WerpError("Spark is not installed here; tokenize with --no-spark, on one machine") from error
    with session(workers) as spark:
        spread(spark, tasks, len(tasks), encode_task)


def encode_task(task: Task) -> None:
    """One file. A task has one core, so the tokenizer gets one thread."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    file, field, band, tokenizer, ids, lengths = task
    # A retry writes names of its own; whichever rename comes last holds the same bytes.
    mark = f".{os.getpid()}"
    encode_named(file, field, band, tokenizer, ids + mark, lengths + mark)
    os.replace(ids + mark, ids)
    os.replace(lengths + mark, lengths)
