"""Rule `url.v1`: block lists applied to a document's address.

Source: RefinedWeb (arXiv 2306.01116, G.1: domain list, hard words, two soft words, substrings); the default
of one soft word tolerated is datatrove's `url_filter.py` (its `soft_word_threshold` = 2 drops).
The lists are their publishers' and none is shipped; `werp.lists` says where they are looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, Field

from werp.lists import list_digest, read_list
from werp.signals.base import Check, Rule
from werp.signals.batch import TextBatch
from werp.signals.domain_list import read_domains

_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
_JOINTS = str.maketrans("", "", "-._ ")
_LISTS = ("blocked_domains", "blocked_words", "soft_words", "blocked_substrings")


class UrlLists(BaseModel):
    """The lists of `url.v1`, which its prefilter has too."""

    blocked_domains: str | None = Field(None, description="list file: hosts, pages, rules that drop")
    blocked_words: str | None = Field(None, description="list file: words of which one drops")
    soft_words: str | None = Field(
        None, description="list file: words of which more than max_soft_words drop"
    )
    max_soft_words: int = Field(1, ge=0, description="most distinct soft words kept")
    blocked_substrings: str | None = Field(None, description="list file: strings of which one drops")

    def lists_read(self) -> dict[str, dict[str, int]]:
        """The number of entries of each kind in each list that is given; raises as `Url.measure` does."""
        raise NotImplementedError


class Url(UrlLists, Rule):
    """Signals: `url.blocked_domain`, `url.blocked_word`, `url.blocked_substring` (string: the entry that
    matched, else null), `url.soft_word_hits` (int64: distinct soft words). Without its list a signal is null.

    Each list is a file as `werp.lists` describes it, read once for a rule object; one that cannot be read
    raises WerpError with field, path and remedy.

    domains: hosts, pages and exceptions as `werp.signals.domain_list` reads them, `www.` of the URL ignored.
    words: a whole word of the URL cut at everything but letters and digits; entries lose the rest likewise.
    substrings: anywhere in the URL once `-`, `.`, `_` and spaces are taken out, of entries likewise.
    """  # fmt: skip

    rule: Literal["url.v1"] = "url.v1"

    def measure_parameters(self) -> dict[str, Any]:
        """SHA-256 of each list's content: a list may move, but not change, without a new measurement."""
        given = [field for field in _LISTS if getattr(self, field) is not None]
        return {field: list_digest(f"{self.rule}.{field}", getattr(self, field)) for field in given}

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Match each address against the lists that are given."""
        words, soft, substrings = self._entries
        urls = [url.lower() for url in batch.urls]
        found = [set(_NOT_A_WORD.split(url)) for url in urls] if words or soft else [set() for _ in urls]
        hits = [None if self.soft_words is None else len(words_of_url & soft) for words_of_url in found]
        columns = {
            "blocked_domain": self._domains(batch.urls),
            "blocked_word": [min(words_of_url & words, default=None) for words_of_url in found],
            "blocked_substring": [substrings.first_in(url) if substrings else None for url in urls],
        }
        return {
            "url.soft_word_hits": pa.array(hits, pa.int64()),
            **{f"url.{name}": pa.array(column, pa.string()) for name, column in columns.items()},
        }

    def verdict(self, url: str) -> tuple[Check, str] | None:
        """The first check that drops this address, and the value it holds for; None keeps it."""
        columns = self.measure(TextBatch([""], [url], [""]))
        for check in self.checks():
            value = columns[check.signal][0].as_py()
            if value is not None and (check.drop_if == "set" or value > check.threshold):
                return check, str(value)
        return None

    def checks(self) -> list[Check]:
        """Those of the lists that are given, in datatrove's order."""
        every = (
            (self.blocked_domains, Check("blocked_domains", "url.blocked_domain", "set", None)),
            (self.blocked_words, Check("blocked_words", "url.blocked_word", "set", None)),
            (self.soft_words, Check("max_soft_words", "url.soft_word_hits", ">", self.max_soft_words)),
            (self.blocked_substrings, Check("blocked_substrings", "url.blocked_substring", "set", None)),
        )
        return [check for path, check in every if path is not None]

    def lists_read(self) -> dict[str, dict[str, int]]:
        """See `UrlLists.lists_read`."""
        found: dict[str, dict[str, int]] = {}
        if self.blocked_domains is not None:
            found["blocked_domains"] = read_domains(
                f"{self.rule}.blocked_domains", self.blocked_domains
            ).summary()
        for name in ("blocked_words", "soft_words"):
            if getattr(self, name) is not None:
                found[name] = {"words": len(self._list(name, _word))}
        if self.blocked_substrings is not None:
            found["blocked_substrings"] = {"strings": len(self._list("blocked_substrings", _joined))}
        return found

    def _domains(self, urls: Sequence[str]) -> list[str | None]:
        if self.blocked_domains is None:
            return [None] * len(urls)
        domains = read_domains(f"{self.rule}.blocked_domains", self.blocked_domains)
        return [domains.first(url) for url in urls]

    def _list(self, field: str, clean: Callable[[str], str]) -> frozenset[str]:
        return read_list(f"{self.rule}.{field}", getattr(self, field), clean, cut_comments=True)

    @cached_property
    def _entries(self) -> tuple[frozenset[str], frozenset[str], _Substrings | None]:
        substrings = self._list("blocked_substrings", _joined)
        return (
            self._list("blocked_words", _word),
            self._list("soft_words", _word),
            _Substrings(substrings) if substrings else None,
        )


def _word(entry: str) -> str:
    """A listed word as the words of an address are: `ValueError` for one that none can be."""
    if not entry.isascii():
        raise ValueError(f"{entry!r}: an address has the words of a-z and 0-9 alone; take the line out")
    return _NOT_A_WORD.sub("", entry)


def _joined(entry: str) -> str:
    """A listed string without joints, as addresses are searched."""
    return entry.translate(_JOINTS)


class _Substrings:
    """Entries by their first characters (as many as the shortest has), so that a URL is passed over once."""

    def __init__(self, entries: Iterable[str]) -> None:
        ordered = sorted(entries)
        self._width = min(map(len, ordered))
        self._by_start: dict[str, list[str]] = {}
        for entry in ordered:
            self._by_start.setdefault(entry[: self._width], []).append(entry)

    def first_in(self, url: str) -> str | None:
        """The entry that stands first in the URL (joints taken out here); of several the first in order."""
        text = url.translate(_JOINTS)
        for i in range(len(text) - self._width + 1):
            for entry in self._by_start.get(text[i : i + self._width], ()):
                if text.startswith(entry, i):
                    return entry
        return None
