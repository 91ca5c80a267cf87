"""The Spark session of a job, or of a question that needs a shuffle."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werp.errors import Stopped, WerpError
from werp.failure import SparkError, told
from werp.progress import Done, stage
from werp.watch import Watch

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

__all__ = ["SparkError", "session"]


@contextmanager
def session(workers: int | None = None, log: Path | None = None) -> Iterator[SparkSession]:
    """A Spark session: the one spark-submit set up, or a local one that retries killed tasks.

    It ends with the block. workers: cores used on this machine; raises `WerpError` where a cluster is the
    master. log: the file that a local Spark's own lines go to, in place of the terminal; default a temporary
    one.

    Whatever of Spark fails is a `WerpError`: the text of a task's own, else a `SparkError`.
    """
    from py4j.protocol import Py4JError  # noqa: PLC0415
    from pyspark.errors import PySparkException  # noqa: PLC0415

    with contextlib.ExitStack() as opened:
        log = log or Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="werp-"))) / "spark.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        before = log.stat().st_size  # of earlier attempts
        _lines_of_py4j_to(log)
        spark = None
        try:
            with stage("starting Spark"), _own_signals():
                spark = _started(workers, log)
            if Watch.current:
                Watch.current.tasks = _tasks_of(spark)
            yield spark
        except KeyboardInterrupt:  # Spark's own handler, while it starts
            raise Stopped(signal.SIGINT) from None
        except Exception as error:
            stopped = _stopped_behind(error)
            if stopped is not None:
                raise stopped from None
            if not isinstance(error, Py4JError | PySparkException | ConnectionError):
                raise
            said = log.read_bytes()[before:].decode("utf-8", "replace")
            failure = told(str(error), said, starting=spark is None)
            if isinstance(failure, SparkError):
                failure.trace = f"{said[-100_000:]}\n{failure.trace}"
            raise failure from error
        finally:
            if Watch.current:
                Watch.current.tasks = lambda: None
            if spark is not None:
                # Java may be gone; and a call that was interrupted leaves half an answer behind, which the
                # next one takes for its own. What went wrong is told already.
                with contextlib.suppress(Exception):
                    spark.stop()


def _stopped_behind(error: BaseException | None) -> Stopped | None:
    """The `Stopped` that an error took the place of: PySpark asks Java on the way up, and gets no answer."""
    while error is not None and not isinstance(error, Stopped):
        error = error.__context__
    return error


def _started(workers: int | None, log: Path) -> SparkSession:
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415
    from pyspark.java_gateway import launch_gateway  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    if SparkContext._gateway is None:
        with log.open("a") as file:
            SparkContext._ensure_initialized(gateway=launch_gateway(None, {"stderr": file}))
    # Only with Java there does it know what spark-submit was told and what spark-defaults.conf says.
    conf = SparkConf()
    master = conf.get("spark.master", "local[*]") or "local[*]"
    local = master.startswith("local")
    if local and submitted:
        _quiet(conf, SparkContext._jvm, log)
    if local:
        cores = str(workers) if workers else (master[6:-1].partition(",")[0] if "[" in master else "1")
        # Spark's local mode gives a task one try; a killed Python worker should cost that try alone.
        conf.set("spark.master", f"local[{cores},4]")
        conf.setIfMissing("spark.log.level", "WARN")
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


def _quiet(conf: SparkConf, jvm: Any, log: Path) -> None:
    """Have the Java process of spark-submit write its lines, and those of its workers, into a file."""
    stream = jvm.java.io.PrintStream(jvm.java.io.FileOutputStream(str(log), True), True)
    jvm.java.lang.System.setErr(stream)
    conf._jconf.initializeLogIfNecessary(False, True)  # else Spark does it later, and anew
    log4j = jvm.org.apache.logging.log4j
    layout = log4j.core.layout.PatternLayout.newBuilder()
    layout = layout.withPattern("%d{HH:mm:ss} %p %c{1}: %m%n%ex").build()
    writer = jvm.java.io.PrintWriter(stream, True)
    appender = log4j.core.appender.WriterAppender.createAppender(layout, None, writer, "werp", False, True)
    appender.start()
    for context in log4j.LogManager.getFactory().getSelector().getLoggerContexts():
        root = context.getConfiguration().getRootLogger()
        for name in list(root.getAppenders().keySet()):
            root.removeAppender(name)
        root.addAppender(appender, None, None)
        root.setLevel(log4j.Level.WARN)
        context.updateLoggers()


def _lines_of_py4j_to(log: Path) -> None:
    """py4j logs a traceback of its own for each call that a dead Java process doesn't answer."""
    logger = logging.getLogger()
    if not logger.handlers:
        handler = logging.FileHandler(log, delay=True)
        handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk
        logger.addHandler(handler)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what Ctrl-C does: Spark's own handler asks a Java process that may be gone."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGINT, before)


def _tasks_of(spark: SparkSession) -> Any:
    """A count of the tasks of the jobs that Spark has in work."""
    tracker = spark.sparkContext.statusTracker()

    def count() -> Done | None:
        stages: dict[int, Any] = {}
        for job in tracker.getActiveJobsIds():
            info = tracker.getJobInfo(job)
            for number in info.stageIds if info else ():
                found = tracker.getStageInfo(number)
                if found:
                    stages[number] = found
        if not stages:
            return None
        done = sum(found.numCompletedTasks for found in stages.values())
        total = sum(found.numTasks for found in stages.values())
        failed = sum(found.numFailedTasks for found in stages.values())
        again = f", {failed:,} tries failed" if failed else ""
        return Done(done, total, f"{done:,} of {total:,} tasks{again}", done, "tasks")

    return count
