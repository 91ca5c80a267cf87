"""Writes the sample crawl: `python -m werp.sample DIR`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from werp.command import run
from werp.sample import write_sample


def main(directory: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Write the sample crawl into the directory named and say what it holds."""
    write_sample(directory)
    rows = [json.loads(line) for line in (directory / "expected.jsonl").read_text("utf-8").splitlines()]
    outcomes = Counter(row["outcome"] for row in rows)
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{directory}: {len(rows)} records, expected {said}")


if __name__ == "__main__":
    run("werp.sample", main)
