"""Extraction in a child process that a page can hurt without hurting the run.

    Spark worker ──frames── supervisor (werp.extract.child) ──fork── extraction process

The supervisor has the extractors imported and forks an extraction process from itself,
so that a new one costs milliseconds; it is recycled after `recycle_pages` pages, since
the parsers leak. A page that takes too long, too much memory, or crashes the parser costs
that process and is answered with a casualty. Both processes die with their parent.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from werp.extract.extractors import AnyExtractor, Extractor, JsonLd
from werp.extract.frames import read_frame, write_frame
from werp.extract.prefilters import LanguagePrefilter, Skipped


class Caps(BaseModel):
    """What one page may cost. Wall time is checked by the supervisor, the rest by the kernel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpu_seconds: Annotated[int, Field(ge=1)] = Field(30, description="CPU time for one page")
    wall_seconds: Annotated[float, Field(gt=0)] = Field(120, description="wall-clock time for one page")
    memory_mb: Annotated[int, Field(ge=64)] = Field(1024, description="memory above the idle process, MiB")
    recycle_pages: Annotated[int, Field(ge=1)] = Field(500, description="pages before a fresh process")


class Casualty(NamedTuple):
    """Why one extractor gave no text, or too little, and the next was asked.

    rule: `timeout`, `out_of_memory`, `crashed`, `error`, `empty` or `almost_empty` (`werp.extract.sparse`).
    cause: what happened; empty where the rule says all.
    """

    extractor: str
    rule: str
    cause: str


class Extraction(NamedTuple):
    """A page's text, or None where every extractor failed, with the casualties of those that were tried.

    skipped: why a prefilter kept the page from extraction; there is no text then.
    """

    text: str | None
    extractor: str
    charset: str
    casualties: tuple[Casualty, ...]
    skipped: Skipped | None = None


def _may_hold_json_ld(html: bytes) -> bool:
    return b"ld+json" in html.replace(b"\0", b"").lower()  # in UTF-16, too


class Guard:
    """A supervisor and its extraction process, used in lockstep: `submit` one page, then `result`.

    Between the two the caller may do other work (read the next record), so that reading
    and extraction overlap.
    """

    def __init__(
        self, extractors: Sequence[AnyExtractor], caps: Caps, prefilters: Sequence[LanguagePrefilter] = ()
    ) -> None:
        self._prefilters = tuple(prefilters)
        self._extractors: tuple[Extractor, ...] = tuple(extractors)
        self._caps = caps
        self._child: subprocess.Popen[bytes] | None = None
        self._page: tuple[bytes, str | None, str | None] | None = None
        self.peak_rss_mb = 0.0

    def submit(self, html: bytes, url: str | None, content_type: str | None) -> None:
        """Send a page to the first extractor; exactly one `result` must follow."""
        if self._page is not None:
            raise RuntimeError("a page is in flight already")
        self._page = (html, url, content_type)
        self._send(0)

    def result(self) -> Extraction:
        """Wait for the submitted page; on a casualty the next extractor is tried, and JSON-LD last.

        Of texts that were all too short the longest is taken, the first of equals.
        """
        if self._page is None:
            raise RuntimeError("no page was submitted")
        casualties: list[Casualty] = []
        best = Extraction(None, "", "", ())
        try:
            for index, extractor in enumerate((*self._extractors, JsonLd())):
                if index == len(self._extractors) and not _may_hold_json_ld(self._page[0]):
                    break
                if index:  # sent once more: it is one page in dozens, and each turn has caps of its own
                    self._send(index)
                header, body = self._receive()
                if "skipped" in header:
                    return Extraction(None, "", header["charset"], (), Skipped(*header["skipped"]))
                if "error" in header:
                    casualties.append(Casualty(extractor.name, header["error"], header["cause"]))
                    continue
                text = body.decode("utf-8")
                if index < len(self._extractors):
                    if best.text is None or len(text) > len(best.text):
                        best = Extraction(text, extractor.version, header["charset"], ())
                    if header["gave_up"] is None:
                        break
                    casualties.append(Casualty(extractor.name, *header["gave_up"]))
                elif len(text) > len(best.text or ""):
                    best = Extraction(text, extractor.version, header["charset"], ())
            return best._replace(casualties=tuple(casualties))
        finally:
            self._page = None

    def close(self) -> None:
        """End the child processes. Safe to call twice."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child = None

    def _send(self, index: int) -> None:
        assert self._page is not None
        html, url, content_type = self._page
        header = {"extractor": index, "url": url, "content_type": content_type}
        try:
            write_frame(self._pipes()[0], header, html)
        except BrokenPipeError:  # the supervisor was killed while idle: start another, once
            self.close()
            write_frame(self._pipes()[0], header, html)

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        # The supervisor answers within wall_seconds, whatever the page; if even it does not
        # (stopped, or killed from outside), it is replaced.
        _, source = self._pipes()
        ready, _, _ = select.select([source], [], [], self._caps.wall_seconds + 30)
        try:
            if not ready:
                raise EOFError
            header, body = read_frame(source)
        except EOFError:
            self.close()
            return {"error": "crashed", "cause": "the extraction supervisor was killed"}, b""
        self.peak_rss_mb = max(self.peak_rss_mb, header.get("peak_rss_mb", 0.0))
        return header, body

    def _pipes(self) -> tuple[int, int]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "werp.extract.child", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
            assert self._child.stdin is not None
            extractors = [extractor.model_dump() for extractor in self._extractors]
            settings = {
                "extractors": extractors,
                "caps": self._caps.model_dump(),
                "prefilters": [prefilter.model_dump() for prefilter in self._prefilters],
            }
            write_frame(self._child.stdin.fileno(), settings)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        return self._child.stdin.fileno(), self._child.stdout.fileno()
