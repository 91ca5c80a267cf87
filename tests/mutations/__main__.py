"""Plant small wrong changes, one at a time, and tell which ones the tests catch.

    python -m tests.mutations                              # all of them
    python -m tests.mutations --only models --only kernels.adamw
    python -m tests.mutations --list
    python -m tests.mutations --json tally.json

The changes stand in the lists `tests/mutations/*.py`, a module for a part of the package; how an entry looks
is told by `tests.mutations.Change`. Each is made in a copy of the tree in a temporary folder, never in the tree
itself, and the tests named with it run there. Before that the same tests run without a change, and must pass.

    killed     a test failed, as it must (also: it ran past --timeout)
    survived   no test failed: one is missing
    stale      the old text does not stand in the file exactly once: mend the entry
    broken     pytest could not run the tests: the new text does not import, or a named test does not exist

The exit status is 1 unless all are killed.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import tests.mutations
from tests.mutations import Change

ROOT = Path(__file__).parents[2]


def changes(only: list[str]) -> dict[str, Change]:
    """Every change by LIST.NAME; with `only`, those that begin with or match one of its patterns."""
    found: dict[str, Change] = {}
    for module in pkgutil.iter_modules(tests.mutations.__path__):
        if module.name != "__main__":
            for change in importlib.import_module(f"tests.mutations.{module.name}").CHANGES:
                name = f"{module.name}.{change.name}"
                assert name not in found, f"{name} stands there twice"
                found[name] = change
    if only:
        found = {
            name: change
            for name, change in found.items()
            if any(name.startswith(pattern) or fnmatch.fnmatch(name, pattern) for pattern in only)
        }
    return found


def copy_tree(folder: Path) -> None:
    """The tree as it stands, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def run_tests(folder: Path, arguments: tuple[str, ...], timeout: float) -> int | None:
    """pytest's exit status in `folder`, None where it ran too long."""
    with tempfile.TemporaryDirectory() as cache:
        # No compiled file of another change may be taken for this one's.
        environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= {"NUMBA_CACHE_DIR": cache, "TRITON_CACHE_DIR": cache}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, text=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            return None
    if process.returncode not in (0, 1):
        print(output[-2000:], file=sys.stderr)
    return process.returncode


def verdict(folder: Path, change: Change, timeout: float) -> str:
    """Make a change in `folder`, run its tests, undo it."""
    path = folder / change.file
    before = path.read_text("utf-8") if path.is_file() else ""
    if before.count(change.old) != 1:
        return "stale"
    path.write_text(before.replace(change.old, change.new), "utf-8")
    try:
        status = run_tests(folder, change.tests, timeout)
    finally:
        path.write_text(before, "utf-8")
    return {0: "survived", 1: "killed", None: "killed"}.get(status, "broken")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="LIST, LIST.NAME or a pattern; repeatable"
    )
    parser.add_argument("--list", action="store_true", help="print the changes and run nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tally there, too")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for the tests of one change")
    parser.add_argument(
        "--unchanged", action=argparse.BooleanOptionalAction, default=True,
        help="run the tests without a change first",
    )  # fmt: skip
    arguments = parser.parse_args()
    chosen = changes(arguments.only)
    if not chosen:
        parser.error(f"--only {' '.join(arguments.only)}: no such change; --list names them")
    if arguments.list:
        for name, change in chosen.items():
            print(f"{name}  {change.file}\n    - {change.old.strip()}\n    + {change.new.strip()}")
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as place:
        folder = Path(place)
        copy_tree(folder)
        for tests_of in dict.fromkeys(c.tests for c in chosen.values()) if arguments.unchanged else ():
            if run_tests(folder, tests_of, arguments.timeout) != 0:
                sys.exit(f"error: without a change these do not pass: {' '.join(tests_of)}")
        for name, change in chosen.items():
            begin = time.monotonic()
            result = verdict(folder, change, arguments.timeout)
            rows.append({"name": name, "file": change.file, "result": result,
                         "seconds": round(time.monotonic() - begin, 1)})  # fmt: skip
            print(f"{result:<9} {rows[-1]['seconds']:6.1f} s  {name}", flush=True)
    tally = dict(Counter(str(row["result"]) for row in rows))
    print(", ".join(f"{count} {result}" for result, count in tally.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps({"tally": tally, "changes": rows}, indent=2) + "\n")
    sys.exit(tally.keys() != {"killed"})


if __name__ == "__main__":
    main()
