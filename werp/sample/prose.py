"""Reads `content/*.md`: the sample's prose, and the verdict its author intends for each page.

A file is one web site. Its first lines describe the site (`key: value`); each page follows
after a line `=== /path` with its own `key: value` lines, a blank line and the blocks of its
text, parted by blank lines:

    a paragraph         ## a heading          - items of a list, one a line
    | cells | of | a table, one row a line    @name, then the paragraphs of a forum post

`charset` (an encoding and where it is stated) and `coding` (`gzip`, `br`, `deflate`, `chunked`)
say how a page is sent. `expect` is `kept`, or outcome, stage and rule: `dropped language language.v1.languages`. A
page without one takes its site's.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Verdict:
    """What the ledger of recipe `gopher_only` should say, and why the author thinks so."""

    outcome: str
    stage: str | None
    rule: str | None
    why: str


def verdict(expect: str, why: str) -> Verdict:
    """A verdict from its short form, e.g. `dropped read mime`."""
    outcome, *place = expect.split()
    if (outcome == "kept") != (not place) or outcome not in {"kept", "dropped", "failed"}:
        raise ValueError(f"expect: {expect!r} is neither 'kept' nor 'dropped|failed STAGE RULE'")
    stage, rule = place or (None, None)
    return Verdict(outcome, stage, rule, why)


@dataclass(frozen=True)
class Site:
    """One web site; `layout` names the template of its pages."""

    host: str
    name: str
    tagline: str
    language: str
    layout: str
    nav: tuple[str, ...]
    cookies: str


@dataclass(frozen=True)
class Page:
    """One page of prose; `blocks` as in the file."""

    site: Site
    path: str
    title: str
    kind: str
    author: str
    date: str
    price: str
    charset: str
    coding: str
    blocks: tuple[str, ...]
    verdict: Verdict

    @property
    def url(self) -> str:
        """The page's address."""
        return f"https://{self.site.host}{self.path}"


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _parse(text: str) -> list[Page]:
    head, *parts = text.split("\n=== ")
    about = _fields(head.strip())
    site = Site(
        host=about["host"],
        name=about["name"],
        tagline=about["tagline"],
        language=about["language"],
        layout=about["layout"],
        nav=tuple(about["nav"].split(", ")),
        cookies=about.get("cookies", ""),
    )
    pages = []
    for part in parts:
        top, *blocks = part.strip().split("\n\n")
        path, _, fields = top.partition("\n")
        own = {**about, **_fields(fields)}
        pages.append(
            Page(
                site=site,
                path=path.strip(),
                title=own["title"],
                kind=own.get("kind", "article"),
                author=own.get("author", ""),
                date=own["date"],
                price=own.get("price", ""),
                charset=own.get("charset", "utf-8 meta"),
                coding=own.get("coding", ""),
                blocks=tuple(blocks),
                verdict=verdict(own["expect"], own["why"]),
            )
        )
    return pages


def load_pages() -> dict[str, list[Page]]:
    """All pages in the order of their files, by name of the file without `.md`."""
    folder = files("werp.sample") / "content"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".md"))
    return {name.removesuffix(".md"): _parse((folder / name).read_text("utf-8")) for name in names}
