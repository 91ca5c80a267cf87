"""Errors meant for the person at the terminal: what is wrong, where, and the remedy."""

from __future__ import annotations

import difflib
import errno
import os
import signal
from collections.abc import Iterable
from typing import ClassVar


class WerpError(Exception):
    """A mistake in what the user gave or a state the run can't go on from; its text is the whole message."""

    status: ClassVar[int] = 2  # of the command that ends with it


class Stopped(BaseException):
    """A signal asked the process to end: Ctrl-C, `kill`, a terminal that was closed."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def status(self) -> int:
        """What a shell reports of a process that this signal ended."""
        return 128 + self.number


_REMEDIES = {
    errno.ENOSPC: "make room there, or name another place",
    errno.EDQUOT: "make room within the quota, or name another place",
    errno.EFBIG: "the file system, or ulimit -f, allows no file so large; name another place",
    errno.EROFS: "it can be read but not written to; name another place",
    errno.EACCES: "mend its rights, or name another place",
    errno.EPERM: "mend its rights, or name another place",
    errno.ENOENT: "it is not there, or not there any more; put it back, or mend the name",
    errno.ENOTDIR: "a part of the path is a file; name another place",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENAMETOOLONG: "name a shorter one",
    errno.ESTALE: "the file system lost it; check the mount",
    errno.EIO: "the device or the mount fails; check it",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the machine has no open files left; end what holds them",
    errno.ENOMEM: "use fewer workers, or a machine with more memory",
}


def from_os(error: OSError) -> WerpError:
    """What the operating system refused, as a message: the file, the cause, the remedy."""
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    cause = error.strerror or str(error)
    number = error.errno or 0
    remedy = _REMEDIES.get(number, "name another place, or mend this one")
    # pyarrow's texts hold the cause once more, behind its own.
    cause = os.strerror(number) if number in _REMEDIES else cause
    return WerpError(f"{where}: {cause}; {remedy}" if where else f"{cause}; {remedy}")


def nearest(key: str, known: Iterable[str]) -> str:
    """A hint ` (did you mean ...?)` naming the closest known key, or the list of them.

    >>> nearest("min_word", ["min_words", "max_words"])
    ' (did you mean min_words?)'
    """
    options = sorted(known)
    close = difflib.get_close_matches(key, options, n=1, cutoff=0.5)
    if close:
        return f" (did you mean {close[0]}?)"
    return f" (known: {', '.join(options)})" if options else ""
