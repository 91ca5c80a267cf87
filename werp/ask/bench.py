"""How long the questions take on a run, start of Python included: the median of three, as JSON.

python -m werp.ask.bench out/run gopher_quality.min_words=100
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from werp.finished import open_run, read_pages

_REPEATS = 3


def main(directory: str, change: str) -> None:
    """Time each command in a process of its own."""
    run = open_run(Path(directory))
    url = next(url for unit in run.tables for url in read_pages(unit).column("url").to_pylist() if url)
    commands = {
        "why": ["why", url, "--run", directory],
        "what-if": ["what-if", change, "--run", directory],
        "diff": ["diff", directory, directory],
        "report": ["report", "--run", directory],
    }
    seconds = {name: _median(words) for name, words in commands.items()}
    made = run.manifest["timings"]["total"]
    print(
        json.dumps({
            "documents": run.manifest["documents"],
            "records": run.manifest["records"]["in"],
            "seconds": {name: round(value, 2) for name, value in seconds.items()},
            "run_seconds": made,
            "run / what-if": round(made / seconds["what-if"], 1),
        }, indent=2)
    )  # fmt: skip


def _median(words: list[str]) -> float:
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "werp.cli", *words], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main(*sys.argv[1:])
