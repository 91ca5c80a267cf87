"""The job on the sample crawl: verdicts, balance, contracts, and what must not matter."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.job import ROOT, environment, manifest, run, table
from werp.sample import write_sample
from werp.status import status_of

SUBMIT = [str(Path(sys.executable).parent / "spark-submit"), "jobs/refine.py"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def finished(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run") / "out"
    said = run("--recipe", "gopher_only", "--input", sample / "crawl", "--output", output, program=SUBMIT)
    (output.parent / "said").write_text(said)
    return output


def test_it_says_what_it_does_and_spark_says_nothing(finished: Path) -> None:
    said = (finished.parent / "said").read_text().splitlines()
    lines = [line for line in said if not line.startswith(("Picked up", "WARNING: Using incubator"))]
    stages = [
        "refine: reading the recipe", "recipe gopher_only: 6 input files", "starting Spark",
        "reading and extracting", "deduplicating, exact.v1: keys", "deduplicating, exact.v1: members",
        "deduplicating, exact.v1: rows", "deduplicating: merged", "writing the ledger", "writing shards",
        "committing", "writing the report", "183 records = ",
    ]  # fmt: skip
    places = [next(n for n, line in enumerate(lines) if line.startswith(start)) for start in stages]
    assert places == sorted(places)
    assert places[0] == 0
    assert not [line for line in lines if re.search(r"WARN|INFO|log4j|py4j|Spark log level", line)]
    log = [line.partition(" ")[2] for line in (finished / "refine.log").read_text("utf-8").splitlines()]
    assert [line for line in lines if line not in log and not line.startswith("146 pages")] == []
    status = run("status", finished, program=[sys.executable, "-m", "werp.cli"])
    assert re.search(r"out: finished .*183 records = 81 kept \+ 95 dropped \+ 7 failed\n", status)


def test_a_printed_spec_trains_on_the_demos_run(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "demo").mkdir(parents=True)
    (tmp_path / "out" / "demo" / "run").symlink_to(finished)
    job = [sys.executable, str(ROOT / "jobs" / "train_classifier.py")]
    spec = subprocess.run(
        [*job, "--preset", "sample", "--dry-run"], env=environment(), capture_output=True, check=True
    ).stdout
    (tmp_path / "spec.yaml").write_bytes(spec)
    line = [*job, "--spec", "spec.yaml", "--output", "model"]
    done = subprocess.run(line, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    dropped = [
        row for row in table(finished, "ledger") if (row["outcome"], row["stage"]) == ("dropped", "filter")
    ]
    assert card["rows"]["positive"] == manifest(finished)["records"]["kept"]
    assert card["rows"]["negative"] == len({row["id"] for row in dropped}) == 23


def expected(sample: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (sample / "expected.jsonl").read_text("utf-8").splitlines()]


def key(row: dict[str, Any], file: str) -> tuple[Any, ...]:
    return (row[file], row["url"], row["record_type"], row["outcome"], row["stage"], row["rule"])


def test_every_record_gets_the_verdict_it_was_written_for(sample: Path, finished: Path) -> None:
    wanted = Counter(key(row, "file") for row in expected(sample))
    found = Counter(key(row, "warc_file") for row in table(finished, "ledger"))
    assert found - wanted == Counter()
    assert wanted - found == Counter()


def test_the_run_balances(finished: Path) -> None:
    run_json, ledger = manifest(finished), table(finished, "ledger")
    records = run_json["records"]
    assert records["in"] == records["kept"] + records["dropped"] + records["failed"] == len(ledger)
    assert sum(outcome["count"] for outcome in run_json["outcomes"]) == len(ledger)
    assert Counter(row["outcome"] for row in ledger) == {k: v for k, v in records.items() if k != "in"}
    places = [(row["warc_file"], row["warc_offset"]) for row in ledger]
    assert len(set(places)) == len(places)


def test_the_tables_keep_their_contracts(finished: Path) -> None:
    shards, documents, signals, ledger = (
        table(finished, n) for n in ("shards", "documents", "signals", "ledger")
    )
    kept = [row for row in ledger if row["outcome"] == "kept"]
    assert [row["id"] for row in shards] == [row["id"] for row in kept]
    assert {"id", "url", "text", "language", "crawl", "warc_file", "warc_offset", "date"} <= set(shards[0])
    assert {row["crawl"] for row in shards} == {"CC-MAIN-2026-05"}
    assert [row["id"] for row in documents] == [row["id"] for row in signals]
    texts = {row["id"]: row["text"] for row in documents}
    assert all(row["text"] == texts[row["id"]] for row in shards)
    assert len(set(texts)) == len(texts)
    ids = {row["id"] for row in kept}
    duplicates = [row for row in ledger if row["rule"] == "exact.v1"]
    assert len(duplicates) >= 5
    assert all(row["survivor_id"] in ids for row in duplicates)
    for row in duplicates:
        assert texts[row["id"]].lower().split() == texts[row["survivor_id"]].lower().split()
    assert not (finished / "_work").exists()


def test_ids_and_content_hash_are_what_the_docs_say(finished: Path) -> None:
    records, documents = table(finished, "records"), {row["id"]: row for row in table(finished, "documents")}
    labels = {row["id"]: row["language.label"] for row in table(finished, "signals")}
    total = 0
    for record, row in zip(records, table(finished, "ledger"), strict=True):
        assert (record["warc_file"], record["warc_offset"]) == (row["warc_file"], row["warc_offset"])
        sha = None
        if row["id"] in documents:
            sha = hashlib.sha256(documents[row["id"]]["text"].encode()).hexdigest()
            name = f"{row['warc_file']}\0{row['warc_offset']}\0{documents[row['id']]['payload_digest']}"
            assert row["id"] == hashlib.sha256(name.encode()).hexdigest()[:32]
        content = [
            row["url"],
            record["date"],
            labels.get(row["id"]),
            sha,
            row["outcome"],
            row["stage"],
            row["rule"],
        ]
        total += int.from_bytes(hashlib.sha256(json.dumps(content).encode()).digest()[:16], "big")
    assert manifest(finished)["content_hash"] == f"{total % (1 << 128):032x}"


def interrupted(inputs: list[Path], output: Path) -> None:
    """An attempt under spark-submit that Ctrl-C ends while pages are extracted."""
    words = [*SUBMIT, "--input", *map(str, inputs), "--output", str(output)]
    process = subprocess.Popen(
        words, env=environment(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it may be ignored here
    )  # fmt: skip
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith("reading and extracting"):
            assert status_of(output).state == "running"
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait() == 130
    rest = lines[next(n for n, line in enumerate(lines) if line.startswith("reading and extracting")) + 1 :]
    assert len(rest) <= 4, rest
    assert not [line for line in lines if "Traceback" in line or "py4j" in line]
    deadline = time.monotonic() + 120
    while (found := status_of(output)).state == "running" and time.monotonic() < deadline:
        time.sleep(0.2)  # Java goes first
    assert (found.state, found.lines[-1]) == ("stopped", "ended by Stopped: SIGINT")


@pytest.mark.parametrize("cores", [1, 2])
def test_geometry_changes_nothing(sample: Path, finished: Path, tmp_path: Path, cores: int) -> None:
    moved = tmp_path / "moved" / "elsewhere"
    shutil.copytree(sample / "crawl", moved)
    files = [path for path in moved.rglob("*") if path.is_file()]
    random.Random(cores).shuffle(files)
    output = tmp_path / "out"
    partitions = {1: 1, 2: 7}[cores]
    # One core: the moved folder as one task. Two cores: its files by name in another order, seven tasks.
    inputs = [moved] if cores == 1 else files
    if cores == 2:
        interrupted(inputs, output)
    run("--input", *inputs, "--output", output, "--workers", cores, "--partitions", partitions)
    assert manifest(output)["content_hash"] == manifest(finished)["content_hash"]
    assert [row["text"] for row in table(output, "shards")] == [
        row["text"] for row in table(finished, "shards")
    ]


def test_a_finished_run_is_left_alone_and_stages_start_alone(
    sample: Path, finished: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    shutil.copytree(finished, output)
    before = (output / "run.json").read_bytes()
    again = run("--input", sample / "crawl", "--output", output)
    assert "finished already" in again
    assert "Spark" not in again
    assert re.search(r"^146 pages; ", again, re.M)  # no speed
    assert (output / "run.json").read_bytes() == before

    assert "--force" in run("--recipe", "raw", "--input", sample / "crawl", "--output", output, code=2)
    assert (output / "run.json").read_bytes() == before

    change = ["--set", "gopher_quality.min_words=200", "--format", "arrow"]
    run("--input", sample / "crawl", "--output", output, "--from", "signals", *change)
    redone = manifest(output)
    assert (
        redone["task_seconds"]["extract"] == manifest(finished)["task_seconds"]["extract"]
    )  # none of it anew
    assert redone["records"]["kept"] < manifest(finished)["records"]["kept"]
    fresh = tmp_path / "fresh"
    run("--input", sample / "crawl", "--output", fresh, "--documents", finished, *change)
    assert manifest(fresh)["content_hash"] == redone["content_hash"]
    assert [row["id"] for row in table(fresh, "shards")] == [row["id"] for row in table(output, "shards")]


def test_a_dry_run_and_mistakes_write_nothing(sample: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert "input files" in run("--input", sample / "crawl", "--output", output, "--dry-run")
    assert "did you mean gopher_only" in run(
        "--recipe", "gofer_only", "--input", sample, "--output", output, code=2
    )
    assert "no such file" in run("--input", tmp_path / "nothing.warc", "--output", output, code=2)
    assert not output.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep me")
    assert "holds other files" in run("--input", sample / "crawl", "--output", tmp_path / "mine", code=2)
    crawl = ["--input", sample / "crawl"]
    deeper = tmp_path / "mine" / "thesis.txt" / "out"
    assert "thesis.txt exists and is no folder" in run(*crawl, "--output", deeper, code=2)
    assert "no run" in run(*crawl, "--output", output, "--documents", tmp_path, code=2)
    assert not output.exists()


def test_a_limit_reads_that_many_pages_of_each_file(sample: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run("--recipe", "raw", "--input", sample / "crawl", "--output", output, "--limit", 3)
    run_json = manifest(output)
    assert run_json["limit"] == 3
    pages = Counter(row["warc_file"] for row in table(output, "records") if row["id"])
    assert pages
    assert max(pages.values()) == 3
