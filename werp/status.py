"""What `werp status` says of a run, from any terminal that sees its directory."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from werp.errors import WerpError
from werp.rundir import LOG, REPORT, RunDirectory

#: Where no lock can say whether the job lives, its last line does: it writes one every ten seconds.
_SILENT_SECONDS = 60.0
_TAIL_BYTES = 1 << 16
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (.*)")


@dataclass(frozen=True)
class Status:
    """state: `running`, `stopped` (and can go on) or `finished`; lines: the last that the job said."""

    state: str
    summary: str
    lines: tuple[str, ...]
    seconds_ago: float | None


def status_of(path: Path) -> Status:
    """The state of a run directory. Raises `WerpError` where there is no run."""
    run = RunDirectory(path, "")
    manifest, held = run.manifest(), run.is_held()
    lines = list(_last_lines(path / LOG))
    ago = (datetime.datetime.now(datetime.UTC) - lines[-1][0]).total_seconds() if lines else None
    said = tuple(line for _, line in lines)
    if held or (held is None and ago is not None and ago < _SILENT_SECONDS):
        return Status("running", f"running{_when(ago)}", said, ago)
    if manifest is not None and not run.work.is_dir():
        records = manifest["records"]
        summary = (
            f"finished {manifest['created']}: {records['in']:,} records = {records['kept']:,} kept"
            f" + {records['dropped']:,} dropped + {records['failed']:,} failed"
        )
        if not (path / REPORT).is_file():
            summary += f"; no report: werp report --run {path} writes it"
        return Status("finished", summary, said, ago)
    if not run.work.is_dir():
        raise WerpError(f"--run {path}: no run there, neither finished nor begun; give a run's output folder")
    ended = bool(said) and said[-1].startswith("ended by")
    why = said[-1] if ended else "killed: it left no last word"
    return Status("stopped", f"stopped{_when(ago)}, {why}; start it again with the same words", said, ago)


def _when(ago: float | None) -> str:
    return f" (last word {ago:.0f} s ago)" if ago is not None else ""


def _last_lines(log: Path) -> Iterator[tuple[datetime.datetime, str]]:
    """The last lines of the log that have a time, each with the lines that follow it."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            tail = file.read().decode("utf-8", "replace")
    except OSError:
        return
    found = [match for line in tail.splitlines() if (match := _STAMPED.fullmatch(line))]
    for match in found[-5:]:
        yield datetime.datetime.fromisoformat(match[1]), match[2]
