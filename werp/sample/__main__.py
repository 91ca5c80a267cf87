"""Writes the sample crawl: `python -m werp.sample DIR`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from werp.sample import write_sample


def main() -> int:
    """Write into the directory named and say what it holds."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: python -m werp.sample DIR", file=sys.stderr)
        return 2
    directory = write_sample(Path(sys.argv[1]))
    rows = [json.loads(line) for line in (directory / "expected.jsonl").read_text("utf-8").splitlines()]
    outcomes = Counter(row["outcome"] for row in rows)
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{directory}: {len(rows)} records, expected {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
