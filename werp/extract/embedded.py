"""Articles that a page holds as data alone: `articleBody` of schema.org in JSON-LD.

Pages that are drawn by scripts carry their article so, for search engines. It is the last resort: asked where
every extractor gave nothing or almost nothing (`werp.extract.sparse`).
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from html import unescape

_TYPE = re.compile(r"application/ld\+json", re.I | re.A)
_END = re.compile("</script", re.I | re.A)
#: A body and its key, wherever they stand: in a list, an `@graph`, or JSON that a stray comma breaks.
_BODY = re.compile(r'(?<!\\)"(?:articleBody|reviewBody)"\s*+:\s*+("(?:[^"\\]++|\\.)*+")', re.S)
#: A backslash that escapes something in JSON, or one that does not and goes.
_NO_ESCAPE = re.compile(r"""(\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))|\\""")
_MOST_BEFORE = 500  # characters of a script's start tag before its type
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>")


def embedded_articles(html: str) -> str:
    """The bodies of a page's JSON-LD in order, each once, parted by an empty line; empty without any."""
    bodies = list(dict.fromkeys(_plain(body) for script in _scripts(html) for body in _bodies(script)))
    longest = max(bodies, key=len, default="")
    # An article whose parts stand in the data as well, such as a live report's posts, comes once.
    return "\n\n".join(body for body in bodies if body and (body is longest or body not in longest))


def _scripts(html: str) -> Iterator[str]:
    at = 0
    while found := _TYPE.search(html, at):
        tag, begin = html.rfind("<", max(0, found.start() - _MOST_BEFORE), found.start()), found.end()
        at, begin = begin, html.find(">", begin)
        if begin < 0:
            return
        if html[tag : tag + 7].lower() != "<script" or html.find(">", tag, found.start()) >= 0:
            continue
        end = _END.search(html, begin)
        yield html[begin + 1 : end.start() if end else None]
        if not end:
            return
        at = end.end()


def _bodies(script: str) -> Iterator[str]:
    for found in _BODY.finditer(script):
        # Line feeds within strings and escapes of JavaScript (\\') are no JSON, but common.
        with contextlib.suppress(ValueError):
            yield json.loads(_NO_ESCAPE.sub(r"\1", found[1]), strict=False)


def _plain(body: str) -> str:
    """A body as text: some hold HTML, some HTML that is escaped once more."""
    if "&" in body:
        body = unescape(body)
    if not _MARKUP.search(body):
        return body.strip()
    from resiliparse.extract.html2text import extract_plain_text  # noqa: PLC0415

    safe = body.encode("utf-8", "replace").decode()
    return str(extract_plain_text(safe, main_content=False, alt_texts=False)).strip()
