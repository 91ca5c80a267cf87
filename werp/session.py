"""The Spark session of a job, or of a question that needs a shuffle."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from werp.errors import WerpError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def session(workers: int | None = None) -> SparkSession:
    """A Spark session: the one spark-submit set up, or a local one that retries killed tasks.

    workers: cores used on this machine; raises `WerpError` where a cluster is the master.
    """
    from pyspark import SparkConf  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf()
    master = conf.get("spark.master", "local[*]") or "local[*]"
    if master.startswith("local"):
        cores = str(workers) if workers else (master[6:-1].partition(",")[0] if "[" in master else "1")
        # Spark's local mode gives a task one try; a killed Python worker should cost that try alone.
        conf.set("spark.master", f"local[{cores},4]")
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
