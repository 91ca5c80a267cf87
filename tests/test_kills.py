"""Ten kills at random moments, driver and Python workers: the resumed run is the unbroken one."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.job import command, environment, manifest, run, table
from werp.sample import write_sample

SEED = 20260


def start(sample: Path, output: Path) -> subprocess.Popen[bytes]:
    line = command("--input", sample / "crawl", "--output", output, "--workers", 2)
    return subprocess.Popen(line, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def python_workers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Spark's Python workers: children of its daemon that run our tasks."""
    found = []
    for child in family(process):
        try:
            if "pyspark.daemon" in " ".join(child.cmdline()) and "pyspark.daemon" in " ".join(
                psutil.Process(child.ppid()).cmdline()
            ):
                found.append(child)
        except psutil.Error:
            continue
    return found


def settle(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Which of them outlive the kill by more than a few seconds."""
    _, alive = psutil.wait_procs(processes, timeout=20)
    return [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.timeout(900)
def test_ten_kills_and_a_resume_give_the_unbroken_run(tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "sample")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    started = time.monotonic()
    run("--input", sample / "crawl", "--output", whole, "--workers", 2)
    usual = time.monotonic() - started

    moments = random.Random(SEED)
    kills = 0
    for attempt in range(30):
        process = start(sample, broken)
        # Later attempts find more done, so that their kills fall into the later stages.
        time.sleep(moments.uniform(0.2, 0.7) * usual)
        everyone = family(process)
        if attempt % 2 and (workers := python_workers(process)):
            moments.choice(workers).kill()  # the task is tried again; the driver then falls too
            time.sleep(moments.uniform(0.0, 1.0))
            everyone += family(process)
        if process.poll() is None:
            process.kill()
            kills += 1
        process.wait()
        assert settle(everyone) == [], "processes outlived the killed driver"
        if (broken / "run.json").exists():
            assert manifest(broken)["content_hash"] == manifest(whole)["content_hash"]
        if kills == 10:
            break
        if (broken / "run.json").exists():  # finished before the kill: begin again in a new place
            broken = tmp_path / f"broken-{attempt}"
    assert kills == 10
    run("--input", sample / "crawl", "--output", broken, "--workers", 2)
    assert manifest(broken)["content_hash"] == manifest(whole)["content_hash"]
    assert manifest(broken)["records"] == manifest(whole)["records"]
    assert table(broken, "ledger") == table(whole, "ledger")
    assert not (broken / "_work").exists()


@pytest.mark.timeout(300)
def test_a_killed_python_worker_costs_one_try_and_leaves_no_orphan(tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "sample")
    process = start(sample, tmp_path / "out")
    deadline = time.monotonic() + 120
    victim, children = None, list[psutil.Process]()
    while victim is None and time.monotonic() < deadline and process.poll() is None:
        for worker in python_workers(process):
            children = worker.children(recursive=True)
            if len(children) >= 2:  # supervisor and extraction process: a page is in work
                victim = worker
                break
        time.sleep(0.02)
    assert victim is not None, "no worker was seen extracting"
    victim.kill()
    assert settle(children) == [], "the extraction outlived its killed worker"
    assert process.wait() == 0, "the killed task was not tried again"
    records = manifest(tmp_path / "out")["records"]
    assert records["in"] == records["kept"] + records["dropped"] + records["failed"] > 0
