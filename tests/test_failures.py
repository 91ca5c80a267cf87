"""What goes wrong around a run ends in one message with a remedy, and a status that scripts know."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.job import ROOT, command, environment
from werp.errors import WerpError, from_os
from werp.failure import SparkError, told
from werp.rundir import RunDirectory
from werp.status import status_of

STAGE = "Job aborted due to stage failure: Task 3 in stage 0.0 failed 4 times, most recent failure: "
#: What Spark 4.3 says, shortened to the lines that count, and a word of what is meant.
TEXTS = [
    (STAGE + "java.io.IOException: No space left on device\n\tat java.base/java.io.File", "SPARK_LOCAL_DIRS"),
    (STAGE + "java.lang.OutOfMemoryError: Java heap space", "--driver-memory"),
    (STAGE + "ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: Container"
     " killed by YARN for exceeding physical memory limits.", "--executor-memory"),
    (STAGE + "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)", "was killed"),
    (STAGE + "java.io.IOException: Cannot run program \"/opt/py\": error=2", "/opt/py is not there"),
    (STAGE + "ModuleNotFoundError: No module named 'werp'", "--archives"),
    (STAGE + "ModuleNotFoundError: No module named 'warcio'", "No module named 'warcio'"),
    ("serialized results of 9 tasks is bigger than spark.driver.maxResultSize 1g", "maxResultSize=8g"),
    ("[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.12", "PYSPARK_PYTHON"),
    ("Could not parse Master URL: 'sprak://x'", "--master is no address"),
    ("All masters are unresponsive! Giving up.", "--master names"),
    ("Answer from Java side is empty", "Java process ended"),
    ("[Errno 111] Connection refused", "Java process ended"),
    ("Job 3 cancelled because SparkContext was shut down", "Java process ended"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "remedy"), TEXTS)
def test_what_spark_says_is_told_in_one_line(text: str, remedy: str) -> None:
    failure = told(f"An error occurred while calling z:PythonRDD.collect.\n: {text}\n\tat org.apache.X\n")
    assert isinstance(failure, SparkError)
    assert remedy in str(failure)
    assert "\n" not in str(failure)
    assert text in failure.trace


def test_what_the_system_refuses_names_file_cause_and_remedy() -> None:
    numbers = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOENT, errno.EMFILE, errno.EBUSY]
    said = {number: str(from_os(OSError(number, os.strerror(number), "/lake/x"))) for number in numbers}
    for number, text in said.items():
        assert text.startswith(f"/lake/x: {os.strerror(number)}; ")
    assert len({text.rpartition("; ")[2] for text in said.values()}) >= 6


def job(output: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    rows = output.parent / "rows.jsonl"
    rows.write_text('{"text": "A page."}\n')
    line = command("--recipe", "raw", "--input", rows, "--output", output)
    return subprocess.run(
        line, env=environment() | changes, capture_output=True, text=True, check=False, cwd=ROOT
    )


def ending(done: subprocess.CompletedProcess[str], status: int) -> str:
    """The message a job ended with, which is all that follows what it was about to do."""
    assert done.returncode == status, done.stderr
    lines = done.stderr.splitlines()
    last = next(n for n, line in enumerate(lines) if line.startswith("refine: ") and "reading" not in line)
    assert len(lines) - last <= 3, lines
    return "\n".join(lines[last:])


def fake_java(folder: Path, says: str) -> dict[str, str]:
    (folder / "bin").mkdir()
    (folder / "bin" / "java").write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
    (folder / "bin" / "java").chmod(0o755)
    return {"JAVA_HOME": str(folder)}


def test_java_that_is_missing_or_wrong_is_said_with_the_remedy(tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = ending(job(out, JAVA_HOME=str(tmp_path / "none")), 1)
    assert "no Java found; Spark 4 needs a full Java 17" in said
    assert f"All that Spark said of it is in {out}/refine.log." in said
    old = "Exception in thread main java.lang.UnsupportedClassVersionError: class file version 61.0"
    assert "this Java is too old" in ending(job(out, **fake_java(tmp_path, old)), 1)
    log = (out / "refine.log").read_text("utf-8")
    assert old in log
    found = status_of(out)
    assert found.state == "stopped"
    assert "ended by SparkError: this Java is too old" in found.summary


#: Stands in for a file system: what `flock` answers there.
PATCH = """
import errno, fcntl
def flock(*_):
    raise OSError(errno.{0}, "no locks available here")
fcntl.flock = flock
"""


@pytest.mark.parametrize("number", ["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def test_a_file_system_without_locks_is_not_called_another_run(tmp_path: Path, number: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(PATCH.format(number))
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    said = ending(job(tmp_path / "out", PYTHONPATH=path), 2)
    assert "keeps no locks (no locks available here)" in said
    assert "another run" not in said


def test_a_run_in_work_is_seen_and_refuses_a_second(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "out", "k")
    with run.lock():
        assert status_of(run.output).state == "running"
        assert "another run is writing here; wait for it to end (werp status" in ending(job(run.output), 2)
    assert status_of(run.output).summary.startswith("stopped, killed: it left no last word")
    with pytest.raises(WerpError, match="no run there"):
        status_of(tmp_path)


def shell(line: str) -> subprocess.CompletedProcess[str]:
    words = ["bash", "-c", f'set -o pipefail; werp() {{ {sys.executable} -m werp.cli "$@"; }}; {line}']
    return subprocess.run(words, env=environment(), capture_output=True, text=True, check=False, cwd=ROOT)


def test_streams_that_are_closed_full_or_left_end_as_elsewhere(tmp_path: Path) -> None:
    left = shell("werp schema | true")
    assert (left.returncode, left.stderr) == (141, "")
    for words in ("schema", "recipe"):  # more than a buffer, and less
        full = shell(f"werp {words} > /dev/full")
        assert full.returncode == 2
        assert full.stderr == "werp: No space left on device; make room there, or name another place\n"
    closed = shell(f"werp status {tmp_path} >&- 2>&-")
    assert (closed.returncode, closed.stderr) == (2, "")
