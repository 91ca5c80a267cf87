"""What a person sees of a run: a line for every stage, then what is done and left every few seconds."""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path

import pytest

from werp import watch
from werp.inputs import list_inputs
from werp.progress import Done, Heartbeat, Stage, Work, counted, stage, watched
from werp.recipe import load_recipe
from werp.refine import Options, make_plan, refine_with

TIME = r"(\d+ min )?\d+ s"
TICK = re.compile(
    rf"reading and extracting: \d+ %, \d+ of 2 files, [\d,]+ records, [\d,]+ pages, {TIME}"
    rf"(, [\d.,]+ pages/s(, about {TIME} left)?)?$"
)


def test_a_run_tells_every_stage_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "LINE_SECONDS", 0.05)
    monkeypatch.setattr(watch, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr("werp.progress._BEAT_SECONDS", 0.0)
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        rows = [{"text": f"Page {n} of file {name} tells of the harbour. " * 5} for n in range(3000)]
        (tmp_path / "in" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "out"
    with watched():
        plan = make_plan(load_recipe("gopher_only"), list_inputs([str(tmp_path / "in")]), out, Options())
        refine_with(contextlib.nullcontext, plan)
    said = capsys.readouterr().err.splitlines()
    stages = [
        "reading and extracting", "deduplicating, exact.v1", "deduplicating, exact.v1: keys",
        "deduplicating: merged",
        "writing the ledger", "writing shards", "committing", "writing the report", "drawing the report",
    ]  # fmt: skip
    places = [said.index(label) for label in stages]
    assert places == sorted(places)
    ticks = [line for line in said[: places[1]] if line.startswith("reading and extracting: ")]
    assert ticks
    assert all(TICK.match(line) for line in ticks)
    log = (out / "refine.log").read_text("utf-8").splitlines()
    assert [line.partition(" ")[2] for line in log] == said
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in log)


def test_an_estimate_begins_with_the_first_data_and_forgets_what_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    done = [0]
    now = Stage("extracting", lambda: Done(done[0], 1000, f"{done[0]} of 1000", done[0], "pages"), 1000.0)
    lines = []
    # A minute of starting; at once 500 that an earlier attempt left; then ten a second.
    for at, count in [(60, 0), (61, 500), (71, 600), (81, 700), (101, 900), (111, 1000)]:
        clock[0], done[0] = 1000.0 + at, count
        lines.append(now.line())
    assert lines[0] == "extracting: 0 %, 0 of 1000, 1 min 0 s"
    assert lines[1] == "extracting: 50 %, 500 of 1000, 1 min 1 s"
    assert lines[2] == "extracting: 60 %, 600 of 1000, 1 min 11 s, 10.0 pages/s, about 40 s left"
    assert lines[4] == "extracting: 90 %, 900 of 1000, 1 min 41 s, 10.0 pages/s, about 10 s left"
    assert lines[5] == "extracting: 100 %, 1000 of 1000, 1 min 51 s, 10.0 pages/s"


def test_a_count_that_fails_ends_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> Done:
        raise ConnectionError("Java has gone")

    with watched() as current, stage("x", broken):
        current._last = -100.0  # a line is due
        time.sleep(0.6)
    assert "Java" not in capsys.readouterr().err


def test_heartbeats_are_summed_and_finished_ones_read_once(tmp_path: Path) -> None:
    count = counted(tmp_path / "beats", Work("extracting", 3, 300))
    assert count() == Done(0, 300, "0 of 3 files, 0 records, 0 pages", 0, "pages")
    Heartbeat(tmp_path / "beats", "0", 100).done(7, 5)
    Heartbeat(tmp_path / "beats", "1", 100).beat(50, 3, 2)
    assert count() == Done(150, 300, "1 of 3 files, 10 records, 7 pages", 7, "pages")
    (tmp_path / "beats" / "0.json").unlink()
    assert count().done == 150
