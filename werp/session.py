"""The Spark session of a job, or of a question that needs a shuffle."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from werp.errors import WerpError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: A `WerpError` in a task's traceback, up to the blank line that Spark puts behind it.
_OWN_ERROR = re.compile(r"^werp\.errors\.WerpError: (.*?)(?=\n[^\S\n]*+\n|\n\tat |\Z)", re.M | re.S)


_RAISED = re.compile(r"\A[\w.]*(?:Error|Exception|Interrupt)\b")


class TaskError(WerpError):
    """A task failed in every one of its tries."""

    status: ClassVar[int] = 1


@contextmanager
def session(workers: int | None = None) -> Iterator[SparkSession]:
    """A Spark session: the one spark-submit set up, or a local one that retries killed tasks.

    It ends with the block. workers: cores used on this machine; raises `WerpError` where a cluster is the
    master. A task that fails four times is a `WerpError` with the text of the task's own, or a `TaskError`
    with all that Spark knows of it.
    """
    from py4j.protocol import Py4JError  # noqa: PLC0415
    from pyspark.errors import PySparkException  # noqa: PLC0415

    spark = _started(workers)
    try:
        yield spark
    except (Py4JError, PySparkException) as error:
        raise _told(str(error)) from error
    finally:
        spark.stop()


def _told(text: str) -> WerpError:
    """What a failed task's traceback comes to."""
    own = _OWN_ERROR.findall(text)
    if own:
        return WerpError(own[-1].strip())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    raised = [line for line in lines if ":" in line and _RAISED.match(line)]
    python = [line for line in raised if not line.startswith(("org.", "java.", "py4j."))]
    cause = (python or raised or lines or ["no cause given"])[-1]
    return TaskError(
        f"{text}\na task failed four times: {cause}\nNothing was committed. Remove the cause and start again."
    )


def _started(workers: int | None) -> SparkSession:
    from pyspark import SparkConf  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf()
    master = conf.get("spark.master", "local[*]") or "local[*]"
    if master.startswith("local"):
        cores = str(workers) if workers else (master[6:-1].partition(",")[0] if "[" in master else "1")
        # Spark's local mode gives a task one try; a killed Python worker should cost that try alone.
        conf.set("spark.master", f"local[{cores},4]")
        conf.setIfMissing("spark.log.level", "FATAL")  # a failed task is told once, when its tries are over
        conf.setIfMissing("spark.ui.enabled", "false")
        conf.setIfMissing("spark.ui.showConsoleProgress", "false")
        conf.setIfMissing("spark.driver.bindAddress", "127.0.0.1")
        conf.setIfMissing("spark.driver.host", "127.0.0.1")
        conf.setIfMissing("spark.sql.shuffle.partitions", "8")
    elif workers:
        raise WerpError(f"--workers is for one machine; with --master {master} use spark-submit's own flags")
    conf.setIfMissing("spark.app.name", "werp refine")
    conf.setIfMissing("spark.log.level", "ERROR")
    # Input files differ in size by orders of magnitude; the scheduler should not wait for locality.
    conf.setIfMissing("spark.locality.wait", "0s")
    return SparkSession.builder.config(conf=conf).getOrCreate()
