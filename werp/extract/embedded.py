"""Articles that a page holds as data alone: `articleBody` of schema.org in JSON-LD.

Pages that are drawn by scripts carry their article so, for search engines. It is the last resort: asked where
every extractor gave nothing or almost nothing (`werp.extract.sparse`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

_TYPE = re.compile(r"application/ld\+json", re.I | re.A)
_END = re.compile("</script", re.I | re.A)
_KEYS = ("articleBody", "reviewBody")
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
    """Every article body in the JSON of a script, wherever it stands; nothing where it is no JSON."""
    start = min((i for i in (script.find("{"), script.find("[")) if i >= 0), default=-1)
    if start < 0:
        return
    try:  # line feeds within strings are no JSON and common; so are comments and a semicolon around it
        data = json.JSONDecoder(strict=False).raw_decode(script[start:])[0]
    except (ValueError, RecursionError):
        return
    waiting: list[Any] = [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        elif isinstance(item, dict):
            yield from (item[key] for key in _KEYS if isinstance(item.get(key), str))
            waiting.extend(reversed([value for value in item.values() if isinstance(value, dict | list)]))


def _plain(body: str) -> str:
    """A body as text: some hold HTML, some HTML that is escaped once more."""
    if "&" in body:
        body = unescape(body)
    if not _MARKUP.search(body):
        return body.strip()
    from resiliparse.extract.html2text import extract_plain_text  # noqa: PLC0415

    safe = body.encode("utf-8", "replace").decode()
    return str(extract_plain_text(safe, main_content=False, alt_texts=False)).strip()
