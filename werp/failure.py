"""What a failure of Spark comes to for the person at the terminal: one message, the cause and the remedy.

Spark answers a failed task with some seventy lines of Java and Python. They go to the run's log; of what
is known to happen, the message is the cause in plain words.
"""

from __future__ import annotations

import re
from typing import ClassVar

from werp.errors import WerpError

#: A `WerpError` in a task's traceback, up to the blank line that Spark puts behind it.
_OWN_ERROR = re.compile(r"^werp\.errors\.WerpError: (.*?)(?=\n[^\S\n]*+\n|\n\tat |\Z)", re.M | re.S)
_RAISED = re.compile(r"\A[\w.]*(?:Error|Exception|Interrupt)\b")
_MEMORY = "give each task more (spark-submit --driver-memory, --executor-memory), or use fewer --workers"
_INSTALL = "install it where they run, or ship an environment with spark-submit --archives"
_JAVA = (
    "Spark 4 needs a full Java 17 or newer: install one (apt-get install openjdk-17-jre-headless), or set"
    " JAVA_HOME to it"
)

_GONE = "Spark's Java process ended before the job (killed, or out of memory); start again"
_NOT_BEGUN = (
    "Spark did not start: its master does not answer, or Java ended; check the address that --master names,"
    " and that it runs"
)

#: What Spark says, and what is meant. The first that is found counts.
_KNOWN = tuple((re.compile(pattern), meaning) for pattern, meaning in (
    (r"No space left on device|Disk quota exceeded",
     "the disk is full where Spark keeps what tasks exchange; make room there, or name another place in"
     " SPARK_LOCAL_DIRS (default: /tmp)"),
    (r"java\.lang\.OutOfMemoryError|GC overhead limit", f"Spark's Java process is out of memory; {_MEMORY}"),
    (r"spark\.driver\.maxResultSize",
     "the tasks report more than the driver takes; spark-submit --conf spark.driver.maxResultSize=8g"),
    (r"PYTHON_VERSION_MISMATCH|Python in worker has different version",
     "the workers run another Python than the driver; set PYSPARK_PYTHON to one that both have"),
    (r"ModuleNotFoundError: No module named '(?:werp|jobs)",
     f"the workers don't find the package werp; {_INSTALL}"),
    (r"ModuleNotFoundError: (No module named '[\w.]+')",
     rf"the workers lack a package (\1); {_INSTALL}"),
    (r"Cannot run program \"([^\"]+)\"",
     r"the workers can't start Python: \1 is not there; set PYSPARK_PYTHON"),
    (r"Python worker (?:exited unexpectedly|failed to connect back)|EOFError",
     f"a Python worker was killed, most often for want of memory; {_MEMORY}"),
    (r"ExecutorLostFailure|exit(?:ed with)? code:? 137|exceeding (?:physical )?memory limits",
     f"executors were lost, most often for want of memory; {_MEMORY}"),
    (r"All masters are unresponsive|Application has been killed",
     "Spark's master does not answer; check the address that --master names, and that it runs"),
    (r"Could not parse Master URL|master URL",
     "--master is no address that Spark knows; local[4], yarn, spark://HOST:PORT and k8s://... are"),
    (r"UnsupportedClassVersionError|class file version",
     f"this Java is too old; {_JAVA}"),
    (r"incubator\.vector not found",
     f"this Java is a cut-down one; {_JAVA}"),
    (r"JAVA_HOME is not set|java: (?:command )?not found|java: No such file|java: cannot execute",
     f"no Java found; {_JAVA}"),
    (r"Unrecognized (?:VM )?option[: ]++'?([^\s']++)|Could not create the Java Virtual Machine",
     "Java refuses its options; look at JAVA_TOOL_OPTIONS, SPARK_SUBMIT_OPTS, --driver-java-options"),
    (r"JAVA_GATEWAY_EXITED", "Spark's Java process did not start; check Java and spark-submit's options"),
    (r"Answer from Java side is empty|Connection refused|Connection reset|while trying to connect to the Java"
     r"|stopped SparkContext|SparkContext was shut down|network error|while sending or receiving",
     _GONE),
))  # fmt: skip


class SparkError(WerpError):
    """Spark, or a task in every one of its tries, failed. trace: all that Spark says of it."""

    status: ClassVar[int] = 1

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


def told(text: str, said: str = "", *, starting: bool = False) -> WerpError:
    """The message of a failure. text: of the exception; said: what Spark printed before it; starting: whether
    there was no session yet.
    """
    own = _OWN_ERROR.findall(text)
    if own:
        return WerpError(own[-1].strip())
    for pattern, meaning in _KNOWN:
        # What was printed goes first into account: the exception only says that Java has gone.
        found = pattern.search(f"{said[-20_000:]}\n{text}" if "JAVA_GATEWAY" in text else text)
        if found:
            told_as = _NOT_BEGUN if starting and meaning == _GONE else meaning
            return SparkError(found.expand(told_as) if found.re.groups else told_as, text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    raised = [line for line in lines if ":" in line and _RAISED.match(line)]
    python = [line for line in raised if not line.startswith(("org.", "java.", "py4j."))]
    cause = (python or raised or lines or ["no cause given"])[-1]
    tries = (
        "a task failed in all its tries: " if "in stage" in text or "Traceback" in text else "Spark failed: "
    )
    return SparkError(f"{tries}{cause[:2000]}", text)
