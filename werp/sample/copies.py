"""Copies of articles: exact ones, which deduplication drops, and near ones, which it keeps.

An exact copy has the same text once case, Unicode form and white space are levelled; its
address, site, markup, charset and spacing differ. A near copy was edited by an author.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace

from werp.sample.cases import Case, page_case
from werp.sample.prose import Page, Site, verdict

_EXACT = "dropped dedup exact.v1"


def _wider(text: str) -> str:
    """Line breaks, tabs and no-break spaces where single spaces were."""
    words = text.split(" ")
    gaps = ["\n      ", " ", "\t", "  ", " ", "\u00a0"]
    return "".join(word + gaps[i % len(gaps)] for i, word in enumerate(words)).rstrip()


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


#: Path of the original -> address path of the copy, what is done to its text, charset, why.
_EXACT_COPIES: tuple[tuple[str, str, Callable[[str], str], str, str], ...] = (
    ("/currents/why-the-tide-is-late", "/reposts/the-late-tide", str, "utf-8 meta", "the same article on another site"),
    ("/sky/how-to-weigh-a-star", "/reposts/weigh-a-star?utm_source=mail", _wider, "utf-8 meta", "the same article with other spacing"),
    ("/body/the-taste-of-nothing", "/reposts/taste", str.lower, "utf-8 meta", "the same article without capital letters"),
    ("/how-to/onions-without-hurry", "/reposts/onions", _wider, "windows-1252 header", "the same article in another charset"),
    ("/law/small-print-in-large-letters", "/reposts/small-print", str, "utf-16 silent", "the same article in UTF-16"),
    ("/listings/ferry-times", "/reposts/ferries", _decomposed, "utf-8 meta", "the same listing with decomposed accents"),
    ("/earth/reading-a-river-bend", "/reposts/river-bend", _wider, "utf-8 meta", "the same article on another site"),
)  # fmt: skip

#: Path of the original -> path of the edited copy and the edits.
_NEAR_COPIES: dict[str, tuple[str, Mapping[str, str]]] = {
    "/currents/the-patience-of-lichens": ("/again/lichens", {"half a millimetre": "about one millimetre", "grey and orange": "yellow and grey"}),
    "/sky/the-colour-of-the-evening": ("/again/evening-colours", {"At noon": "In the middle of the day", "splendid": "beautiful"}),
    "/earth/where-the-sand-came-from": ("/again/sand", {"Pick up a pinch of sand": "Take a pinch of sand"}),
    "/life/a-winter-in-the-soil": ("/again/soil-in-winter", {"From November to March": "From December to April", "a day of raking": "an afternoon of raking"}),
    "/how-to/what-salt-does-to-meat": ("/again/salt-and-meat", {"forty minutes": "three quarters of an hour", "tablespoon": "large spoon"}),
    "/guides/what-compost-wants": ("/again/compost", {"sixty degrees": "fifty-five degrees", "Egg shells are harmless": "Eggshells do no harm"}),
    "/money/why-queues-are-fair-and-slow": ("/again/queues", {"ten pounds": "twelve pounds", "two hours": "three hours"}),
    "/trips/how-to-sleep-on-a-ferry": ("/again/sleeping-on-ferries", {"some thirty times": "about forty times"}),
}  # fmt: skip


def _edited(page: Page, edit: Callable[[str], str]) -> Page:
    return replace(page, title=edit(page.title), blocks=tuple(edit(block) for block in page.blocks))


def exact_copies(pages: Mapping[str, Page], site: Site) -> list[Case]:
    """Copies that lose to an original in an earlier file; `pages` by path."""
    copies = []
    for original, path, edit, charset, why in _EXACT_COPIES:
        page = replace(_edited(pages[original], edit), site=site, path=path, charset=charset, coding="")
        copies.append(page_case(replace(page, kind="exact copy", verdict=verdict(_EXACT, why))))
    return copies


def early_copy(pages: Mapping[str, Page], site: Site) -> Case:
    """A copy that stands before its original, and so is the one that stays."""
    page = pages["/posts/what-a-database-index-really-is"]
    kept = verdict("kept", "the first copy by file and offset, though the original stands in a later file")
    return page_case(replace(page, site=site, path="/reposts/index", kind="exact copy", verdict=kept))


def near_copies(pages: Mapping[str, Page], site: Site) -> list[Case]:
    """Edited copies: another text to exact deduplication."""
    copies = []
    for original, (path, edits) in _NEAR_COPIES.items():
        text = "\n\n".join(pages[original].blocks)
        for old, new in edits.items():
            if old not in text:
                raise ValueError(f"{original}: {old!r} to be edited is not in the text")
            text = text.replace(old, new)
        kept = verdict("kept", "edited in a few words, so no exact duplicate")
        page = replace(pages[original], site=site, path=path, kind="near copy", verdict=kept)
        copies.append(
            page_case(replace(page, blocks=tuple(text.split("\n\n")), coding="", charset="utf-8 meta"))
        )
    return copies
