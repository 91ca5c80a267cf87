"""One page can't hurt the run: hostile pages cost themselves, children die with their parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from werp.extract.extractors import Resiliparse, Trafilatura
from werp.extract.guard import Caps, Guard

ARTICLE = (
    "<html><body><article><h1>Tides</h1><p>"
    + "The tide comes in twice a day because the Earth turns under the pull of the Moon. " * 8
    + "</p></article></body></html>"
).encode()


@pytest.fixture
def guard() -> Iterator[Guard]:
    made = Guard([Trafilatura()], Caps(cpu_seconds=5, wall_seconds=20, memory_mb=512))
    yield made
    made.close()


def ask(guard: Guard, html: bytes) -> tuple[str | None, list[str]]:
    guard.submit(html, "https://example.org/", "text/html")
    extraction = guard.result()
    return extraction.text, [casualty.rule for casualty in extraction.casualties]


def hostile_pages() -> dict[str, bytes]:
    """Each of these hung or killed a parser in the field."""
    row = b"<tr><td>1</td><td>2</td></tr>"
    return {
        "million_row_table": b"<html><body><table>" + row * 1_000_000 + b"</table></body></html>",
        "giant_colspan": b"<html><body><table><tr><td colspan=9007199254740991>a</td><td>b</td></tr></table>"
        + ARTICLE
        + b"</body></html>",
        "nested_divs": b"<html><body>" + b"<div>" * 100_000 + b"text " * 100 + b"</body></html>",
    }


@pytest.mark.parametrize("name", sorted(hostile_pages()))
def test_a_hostile_page_costs_itself_alone(guard: Guard, name: str) -> None:
    started = time.monotonic()
    text, casualties = ask(guard, hostile_pages()[name])
    assert time.monotonic() - started < 40
    assert text is not None or casualties  # extracted after all, or a named casualty
    text, casualties = ask(guard, ARTICLE)
    assert casualties == []
    assert text is not None
    assert "pull of the Moon" in text


@pytest.mark.parametrize(
    ("caps", "rule"),
    [
        (Caps(memory_mb=256), "out_of_memory"),
        (Caps(cpu_seconds=1), "timeout"),
        (Caps(wall_seconds=0.5), "timeout"),
    ],
)
def test_each_cap_stops_the_million_row_table(caps: Caps, rule: str) -> None:
    with contextlib.closing(Guard([Trafilatura()], caps)) as guard:
        assert ask(guard, hostile_pages()["million_row_table"]) == (None, [rule])
        assert ask(guard, ARTICLE)[1] == []


def test_what_fails_goes_to_the_next_extractor() -> None:
    with contextlib.closing(
        Guard([Trafilatura(), Resiliparse()], Caps(cpu_seconds=2, memory_mb=256))
    ) as guard:
        html = b"<html><body><p>Opening words of the page.</p><table>" + b"<tr><td>cell</td></tr>" * 400_000
        guard.submit(html, None, "text/html")
        extraction = guard.result()
    assert [casualty.extractor for casualty in extraction.casualties][:1] == ["trafilatura"]
    if extraction.text is None:  # the second met a cap as well: then both are named
        assert len(extraction.casualties) == 2
    else:
        assert extraction.extractor.startswith("resiliparse")


def test_a_killed_extraction_process_is_one_casualty(guard: Guard) -> None:
    assert ask(guard, ARTICLE)[0]
    supervisor = psutil.Process(os.getpid()).children()[-1]
    victim = supervisor.children()[0]
    guard.submit(hostile_pages()["million_row_table"], None, "text/html")
    time.sleep(0.5)
    victim.send_signal(signal.SIGSEGV)
    extraction = guard.result()
    assert [casualty.rule for casualty in extraction.casualties] == ["crashed"]
    assert "SIGSEGV" in extraction.casualties[0].cause
    assert ask(guard, ARTICLE)[0]


def test_a_killed_supervisor_is_replaced(guard: Guard) -> None:
    assert ask(guard, ARTICLE)[0]
    psutil.Process(os.getpid()).children()[-1].kill()
    time.sleep(0.2)
    assert ask(guard, ARTICLE)[0]


def test_recycling_loses_no_page() -> None:
    with contextlib.closing(Guard([Resiliparse()], Caps(recycle_pages=3))) as guard:
        answers = [ask(guard, ARTICLE.replace(b"Tides", b"Tides %d" % n)) for n in range(20)]
    assert all(casualties == [] for _, casualties in answers)
    assert all(text and f"Tides {n}" in text for n, (text, _) in enumerate(answers))


_PARENT = """
import time
from werp.extract.extractors import Trafilatura
from werp.extract.guard import Caps, Guard
guard = Guard([Trafilatura()], Caps())
guard.submit(b"<html><body><p>warm</p></body></html>", None, "text/html")
guard.result()
guard.submit(b"<html><body><table>" + b"<tr><td>1</td></tr>" * 3_000_000, None, "text/html")
print("busy", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="death with the parent is a Linux facility (prctl)")
def test_no_orphan_survives_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"busy\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) == 2  # supervisor and extraction process
        parent.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=5)
        assert [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
