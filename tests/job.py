"""Running the job as users do, and reading what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent


def command(*words: object) -> list[str]:
    """The job's command line, without the start-up of spark-submit: the program is the same."""
    return [sys.executable, str(ROOT / "jobs" / "refine.py"), *map(str, words)]


def environment() -> dict[str, str]:
    """The environment of the job: this interpreter for Spark's workers, and a JVM that starts quickly.

    Most of a small run is the JVM compiling itself: without its optimising compiler the same
    run took half the time (8 s to a session instead of 14, 10 s for deduplication instead of 19).
    """
    java = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    # Recipes of the tests name scorers that live among them.
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {
        **os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_SUBMIT_OPTS": java, "PYTHONPATH": path,
        "SPARK_CONF_DIR": str(ROOT / ".ci" / "spark"), "TERM": "dumb",
    }  # fmt: skip


def run(*words: object, code: int = 0, program: list[str] | None = None) -> str:
    """Run the job to its end; returns what it said. Fails the test on another exit status.

    spark-submit passes on both streams of its job as standard output, so they are one here.
    """
    line = [*program, *map(str, words)] if program else command(*words)
    done = subprocess.run(
        line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


def manifest(output: Path) -> dict[str, Any]:
    """The committed run.json."""
    content: dict[str, Any] = json.loads((output / "run.json").read_text("utf-8"))
    return content


def table(output: Path, name: str) -> list[dict[str, Any]]:
    """All rows of a table of the run, files in their order in run.json."""
    rows: list[dict[str, Any]] = []
    for file in manifest(output)["files"][name]:
        path = output / name / file
        source = pa.ipc.open_file(path).read_all() if path.suffix == ".arrow" else pq.read_table(path)
        rows += source.to_pylist()
    return rows
