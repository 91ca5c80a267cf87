"""The run directory: where things lie, how a file appears whole, how a run is committed.

    OUTPUT/run.json            the manifest; a directory without it is not a finished run
    OUTPUT/{records,documents,signals,dedup,ledger,shards}/   and retractions/, with --earlier
    OUTPUT/report.html         what a person looks at first; made from the tables, after the commit
    OUTPUT/refine.log          what the job said, and what went wrong
    OUTPUT/_work/              staged results of an unfinished run; gone after the commit

Every file is written under a temporary name in `_work/tmp` and renamed, never committed
in a `close()`; the run is committed by renaming `run.json` into place last.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from werp.errors import WerpError

REPORT = "report.html"
#: What the job said, with the time; of every attempt.
LOG = "refine.log"
TABLES = ("records", "documents", "signals", "dedup", "ledger", "retractions", "shards")


class RunDirectory:
    """Paths of one output directory and of the staging area of one run key."""

    def __init__(self, output: str | Path, run_key: str) -> None:
        self.output = Path(output).absolute()
        self.run_key = run_key
        self.work = self.output / "_work"
        self.run_work = self.work / f"run-{run_key[:16]}"

    def staged(self, table: str) -> Path:
        """Folder where a table's files are staged.

        Records, documents and signals depend on their own input alone, so another run key may
        take them over; dedup, ledger and shards belong to this key.
        """
        base = self.work if table in ("records", "documents", "signals") else self.run_work
        return base / table

    def manifest(self) -> dict[str, Any] | None:
        """The committed run.json, or None."""
        path = self.output / "run.json"
        try:
            content = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise WerpError(f"{path}: not valid JSON ({error}); the run is damaged, remove it") from error
        if not isinstance(content, dict):
            raise WerpError(f"{path}: not a run manifest")
        return content

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for this process; the kernel lets go when the process ends."""
        self.work.mkdir(parents=True, exist_ok=True)
        with (self.work / "lock").open("w") as file:
            try:
                _locked(file, fcntl.LOCK_EX)
            except BlockingIOError as error:
                raise WerpError(
                    f"{self.output}: another run is writing here; wait for it to end"
                    f" (werp status {self.output})"
                ) from error
            except OSError as error:
                raise WerpError(
                    f"{self.output}: its file system keeps no locks ({error.strerror}), so two runs could"
                    " spoil each other unseen; name an output where they are kept, or mount it with them"
                    " (Lustre: -o flock; NFS: with its lock service)"
                ) from error
            yield

    def is_held(self) -> bool | None:
        """Whether a process holds the directory; None where the file system can't say."""
        try:
            with (self.work / "lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        except OSError:
            return None
        return False

    def clean_temporary(self) -> None:
        """Remove what killed attempts left half-written."""
        shutil.rmtree(self.work / "tmp", ignore_errors=True)

    def commit(self, manifest: dict[str, Any], files: dict[str, list[str]]) -> None:
        """Make the staged files the directory's content, `run.json` last.

        An older finished run is taken away only now, when all of the new one is on disk. A
        kill in between leaves no run.json, and the next start of the same run commits again.
        """
        for stale in ("run.json", REPORT):
            (self.output / stale).unlink(missing_ok=True)
        for table, names in files.items():
            final, staged = self.output / table, self.staged(table)
            final.mkdir(exist_ok=True)
            for name in names:
                if (staged / name).exists():
                    os.replace(staged / name, final / name)
                elif not (final / name).exists():
                    raise WerpError(f"{staged / name}: staged file vanished before the commit")
            for stale in set(os.listdir(final)) - set(names):
                (final / stale).unlink()
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        write_atomically(self.output / "run.json", text.encode(), self.work / "tmp")
        shutil.rmtree(self.work, ignore_errors=True)


def _locked(file: IO[str], kind: int) -> None:
    """Lock a file or raise `BlockingIOError`; tried for a second, since `werp status` looks at it, too."""
    for _ in range(4):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(file, kind | fcntl.LOCK_NB)
        time.sleep(0.25)
    fcntl.flock(file, kind | fcntl.LOCK_NB)


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's, finished or not."""
    return (folder / "_work" / "lock").is_file() or (
        (folder / "run.json").is_file() and (folder / "ledger").is_dir()
    )


def refuse_unwritable(path: Path, flag: str) -> None:
    """Raise `WerpError` where a folder can't be made, before hours of work are spent on what goes there."""
    there = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    if not there.is_dir():
        raise WerpError(f"{flag} {path}: {there} exists and is no folder; name another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise WerpError(f"{flag} {path}: {there} can't be written to; name another place, or mend its rights")


@contextlib.contextmanager
def new_file(target: Path, temporary: Path) -> Iterator[Path]:
    """A temporary path that becomes `target` when the block ends without an error.

    Two attempts at one task may race: each has a name of its own, both write the same
    bytes, and the rename of the second replaces the first whole.
    """
    temporary.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary / f"{uuid.uuid4().hex}.{target.name[-100:]}"
    try:
        yield partial
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.filename not in (None, str(partial)):  # of another file: an input that vanished
            raise
        raise OSError(
            error.errno, f"{error.strerror or error} while writing {target}", str(target)
        ) from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    with partial.open("rb+") as file:
        sync(file)
    os.replace(partial, target)


def sync(file: BinaryIO) -> None:
    """Have the file's bytes on disk before its name appears."""
    file.flush()
    os.fsync(file.fileno())


def write_atomically(target: Path, data: bytes, temporary: Path) -> None:
    """Write a small file whole."""
    with new_file(target, temporary) as partial:
        partial.write_bytes(data)
