"""Extraction quality and speed beside the raw libraries, on pages with gold text.

    python -m werp.extract.bench $WERP_DATA/extraction [--limit 200]

F1 of the word multisets of text and gold, mean over pages (a page that an extractor fails
on counts 0). Each extractor is run as a recipe runs it, without its guard, and beside it
the library as its own documentation calls it, on the same pages: in a process of its own,
since importing ours replaces parts of trafilatura by faster ones (`werp.extract.xpaths`).
"""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from werp.command import run
from werp.errors import WerpError

Extract = Callable[[str], str]


def gold_pages(folder: Path) -> Iterator[tuple[str, str]]:
    """(html, gold text) of every page under `folder` (`*.jsonl.xz`) that has a gold text."""
    for path in sorted(folder.glob("*.jsonl.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                page = json.loads(line)
                if page["gold_text"]:
                    yield page["html"], page["gold_text"]


def word_f1(text: str, gold: str) -> float:
    """Harmonic mean of precision and recall over the multisets of white-space separated words.

    >>> word_f1("a b b c", "a b d")
    0.5714285714285714
    """
    ours, theirs = Counter(text.split()), Counter(gold.split())
    common = (ours & theirs).total()
    return 2 * common / (ours.total() + theirs.total()) if common else 0.0


def raw_libraries() -> dict[str, Extract]:
    """Each library called plainly, the way its documentation shows."""
    import justext  # noqa: PLC0415
    import trafilatura  # noqa: PLC0415
    from resiliparse.extract.html2text import extract_plain_text  # noqa: PLC0415

    english = justext.get_stoplist("English")

    def plain_justext(html: str) -> str:
        return "\n".join(p.text for p in justext.justext(html, english) if not p.is_boilerplate)

    return {
        "trafilatura": lambda html: trafilatura.extract(html, include_comments=False) or "",
        "justext": plain_justext,
        "resiliparse": lambda html: str(extract_plain_text(html, main_content=True)),
    }


def measure(extract: Extract, pages: list[tuple[str, str]]) -> tuple[float, float, int]:
    """Mean F1, pages per second and failures of one extractor."""
    scores, failures = [], 0
    started = time.perf_counter()
    for html, gold in pages:
        try:
            scores.append(word_f1(extract(html), gold))
        except Exception:  # a library's failure is its score
            failures += 1
            scores.append(0.0)
    return sum(scores) / len(scores), len(pages) / (time.perf_counter() - started), failures


def measured_alone(name: str, folder: Path, limit: int | None) -> tuple[float, float, int]:
    """`measure` of a raw library in a new process, which imports nothing of ours that touches it."""
    words = [sys.executable, "-m", "werp.extract.bench", str(folder), "--raw", name]
    words += ["--limit", str(limit)] if limit is not None else []
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise WerpError(f"the process of the raw {name} ended with status {done.returncode}; see above")
    f1, speed, failures = json.loads(done.stdout)
    return f1, speed, failures


def main(
    folder: Path,
    limit: Annotated[int | None, typer.Option(min=1, help="first pages only")] = None,
    raw: Annotated[str | None, typer.Option(help="measure this raw library alone, and print JSON")] = None,
) -> None:
    """Print a table: F1 and pages per second, ours and the raw library's."""
    pages = list(gold_pages(folder))[:limit]
    if not pages:
        raise WerpError(f"{folder}: no page with a gold text in *.jsonl.xz there; name the folder extraction")
    if raw is not None:
        library = raw_libraries()[raw]
        measure(library, pages[:3])  # what is loaded at first use is no speed
        print(json.dumps(measure(library, pages)))
        return
    print(f"{len(pages)} pages with gold text\n")
    print(
        "| extractor | F1 | raw F1 | pages/s | raw pages/s | failed | raw failed |\n"
        "|---|---|---|---|---|---|---|"
    )
    from werp.extract.extractors import EXTRACTORS  # noqa: PLC0415  (not in the raw libraries' process)

    for name, kind in EXTRACTORS.items():
        extractor = kind.model_validate({"name": name})
        extractor.warm_up()
        ours = measure(lambda html, e=extractor: e.extract(html, None), pages)  # type: ignore[misc]
        theirs = measured_alone(name, folder, limit)
        print(
            f"| {extractor.version} | {ours[0]:.4f} | {theirs[0]:.4f} | {ours[1]:.1f} | {theirs[1]:.1f}"
            f" | {ours[2]} | {theirs[2]} |"
        )


if __name__ == "__main__":
    run("werp.extract.bench", main)
