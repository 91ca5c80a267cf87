"""The guard's child: a supervisor that forks, watches and replaces one extraction process.

Run by `werp.extract.guard` as `python -m werp.extract.child PARENT_PID`; it reads its
settings as the first frame on standard input, then one page a frame.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import select
import signal
import socket
import sys
from typing import Any

from pydantic import TypeAdapter

from werp.extract.extractors import AnyExtractor, Extractor, JsonLd
from werp.extract.frames import read_frame, write_frame
from werp.extract.guard import Caps
from werp.extract.prefilters import LanguagePrefilter
from werp.extract.sparse import gave_up
from werp.read.charset import decode_html

_PR_SET_PDEATHSIG = 1
_MIB = 1 << 20
_RECYCLE = 17  # exit status of an extraction process that asks to be replaced


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however the parent ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was told
        os._exit(1)


class Supervisor:
    """Forwards pages to the extraction process and answers for it when it can't."""

    def __init__(
        self, extractors: list[Extractor], prefilters: list[LanguagePrefilter], caps: Caps, answers: int
    ) -> None:
        self._extractors = extractors
        self._prefilters = prefilters
        self._caps = caps
        self._answers = answers
        self._pid = 0
        self._link: socket.socket | None = None

    def serve(self) -> None:
        """Answer pages until the guard closes the pipe."""
        with contextlib.suppress(EOFError, BrokenPipeError):
            while True:
                header, html = read_frame(0)
                answer, body = self._extract(header, html)
                write_frame(self._answers, answer, body)
        self._end_process()

    def _extract(self, header: dict[str, Any], html: bytes) -> tuple[dict[str, Any], bytes]:
        while True:
            link = self._process()
            try:
                write_frame(link.fileno(), header, html)
                ready, _, _ = select.select([link], [], [], self._caps.wall_seconds)
                if not ready:
                    self._end_process()
                    cause = f"took longer than caps.wall_seconds={self._caps.wall_seconds:g}"
                    return {"error": "timeout", "cause": cause}, b""
                return read_frame(link.fileno())
            except (EOFError, OSError):
                status = self._end_process()
                # It was on its way out to be recycled and never saw this page: ask the next one.
                if not (os.WIFEXITED(status) and os.WEXITSTATUS(status) == _RECYCLE):
                    return self._post_mortem(status), b""

    def _post_mortem(self, status: int) -> dict[str, str]:
        if os.WIFSIGNALED(status):
            name = signal.Signals(os.WTERMSIG(status)).name
            if name == "SIGXCPU":
                cause = f"took more than caps.cpu_seconds={self._caps.cpu_seconds}"
                return {"error": "timeout", "cause": cause}
            return {"error": "crashed", "cause": f"the extraction process ended with {name}"}
        return {
            "error": "crashed",
            "cause": f"the extraction process ended with status {os.WEXITSTATUS(status)}",
        }

    def _process(self) -> socket.socket:
        """The socket to a live extraction process, forking one where there is none."""
        if self._link is not None and self._wants_replacement():
            self._end_process()
        if self._link is None:
            ours, theirs = socket.socketpair()
            parent = os.getpid()
            self._pid = os.fork()
            if self._pid == 0:
                try:
                    die_with_parent(parent)
                    ours.close()
                    os.close(0)
                    os.close(self._answers)
                    _extraction_process(self._extractors, self._prefilters, self._caps, theirs.fileno())
                finally:
                    os._exit(1)
            theirs.close()
            self._link = ours
        return self._link

    def _wants_replacement(self) -> bool:
        """Whether the idle process has closed its end (it recycles itself between pages)."""
        assert self._link is not None
        ready, _, _ = select.select([self._link], [], [], 0)
        return bool(ready)

    def _end_process(self) -> int:
        if self._link is None:
            return 0
        self._link.close()
        self._link = None
        with contextlib.suppress(ProcessLookupError):
            # A process that ended by itself keeps its own status: a zombie ignores the signal.
            os.kill(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        return status


def _extraction_process(
    extractors: list[Extractor], prefilters: list[LanguagePrefilter], caps: Caps, link: int
) -> None:
    idle = _peak_address_space()
    resource.setrlimit(resource.RLIMIT_AS, (idle + caps.memory_mb * _MIB, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for _ in range(caps.recycle_pages):
        try:
            header, html = read_frame(link)
        except EOFError:
            os._exit(0)
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + 1 + caps.cpu_seconds
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        try:
            # Only the first extractor's turn: a page that comes again was let through already.
            own = prefilters if header["extractor"] == 0 else []
            answer, body = _extract_page(extractors[header["extractor"]], own, header, html)
        except Exception as error:  # whatever a parser raises on a stranger's page is one casualty
            answer, body = {"error": "error", "cause": f"{type(error).__name__}: {error}"[:300]}, b""
        # Parsers hide a failed allocation: trafilatura returns no text, jusText some other error.
        # Allocations double, so one that failed leaves a peak of more than half the cap.
        spent = _peak_address_space() - idle > caps.memory_mb * _MIB // 2
        if spent and not body and "skipped" not in answer:
            answer = {"error": "out_of_memory", "cause": f"took more than caps.memory_mb={caps.memory_mb}"}
        answer["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
        write_frame(link, answer, body)
        if spent:
            break
    os._exit(_RECYCLE)


def _peak_address_space() -> int:
    """The most address space this process has held, in bytes (0 where the system does not say)."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmPeak"))
    except (OSError, StopIteration):
        return 0


def _extract_page(
    extractor: Extractor, prefilters: list[LanguagePrefilter], header: dict[str, Any], html: bytes
) -> tuple[dict[str, Any], bytes]:
    text, charset, _ = decode_html(html, header["content_type"])
    for prefilter in prefilters:
        skipped = prefilter.skips_text(text)
        if skipped is not None:
            return {"charset": charset, "skipped": skipped}, b""
    extracted = extractor.extract(text, header["url"])
    answer: dict[str, Any] = {"charset": charset, "gave_up": gave_up(extracted, text)}
    return answer, extracted.encode("utf-8", "replace")


def main() -> None:
    """Entry point of the child process."""
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    # Libraries print; standard output is the answers' pipe, so it moves away from their reach.
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        settings, _ = read_frame(0)
    except EOFError:
        return
    adapter: TypeAdapter[Extractor] = TypeAdapter(AnyExtractor)
    extractors = [*(adapter.validate_python(options) for options in settings["extractors"]), JsonLd()]
    prefilters = [LanguagePrefilter.model_validate(options) for options in settings["prefilters"]]
    for extractor in extractors:
        extractor.warm_up()
    for prefilter in prefilters:
        prefilter.warm_up()
    gc.collect()
    gc.freeze()  # the forks share what is imported; a collection would copy every page of it
    Supervisor(extractors, prefilters, Caps.model_validate(settings["caps"]), answers).serve()


if __name__ == "__main__":
    main()
