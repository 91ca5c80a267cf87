"""Lists of hosts and pages that publishers share, as sets against which an address is looked up.

A line is read as its format means it (`werp.signals.list_lines`); one that can't be is an error.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from werp.errors import WerpError
from werp.lists import find_list, not_utf8, open_list
from werp.signals.list_lines import Address, BadLineError, Entry, address_of, entries_of, parents

_SHOWN = 3  # lines that can't be read, of many
#: A host in lower case alone on its line, as nearly all are.
_PLAIN = re.compile(rb"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.[a-z][a-z0-9-]*[\r\n]*")
_SPACE = "\ufeff \t\r\n\x0b\x0c\u00a0\u3000"
_PART_ENDS = ("", "/", "?", "&", "#", ";")
#: How the summary calls the kinds of entries.
_WORDS = {
    "domain": "hosts and what is below them", "site": "hosts alone", "page": "pages",
    "start": "beginnings of paths", "network": "networks", "exception": "exceptions",
    "off": "rules taken back",
    "part": "rules on parts of pages, passed over", "own": "names of the machine itself, passed over",
    "comment": "comments",
}  # fmt: skip


@dataclass
class _Entries:
    """The sets of one side, blocking or allowing."""

    domain: set[str] = field(default_factory=set)
    site: set[str] = field(default_factory=set)
    page: set[str] = field(default_factory=set)
    start: set[str] = field(default_factory=set)
    network: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = field(default_factory=list)
    longest: int = 0
    with_ports: bool = False
    paths_of: set[str] = field(default_factory=set)

    def add(self, entry: Entry) -> None:
        if entry.kind == "network":
            self.network.append(ipaddress.ip_network(entry.text))
            return
        getattr(self, entry.kind).add(entry.text)
        self.with_ports |= ":" in entry.text
        if entry.kind in ("page", "start"):
            host, _, path = entry.text.partition("/")
            self.paths_of.add(host)
            self.longest = max(self.longest, len(path) + 1)

    def first(self, address: Address) -> str | None:
        """The entry that an address falls under: the longest host first, then pages."""
        if address.host in self.site:
            return f"www.{address.host}"
        names = list(parents(address.host))
        if self.with_ports and address.port:
            names = [name for host in names for name in (host, Address(host, address.port, "").place)]
        for name in names:
            if name in self.domain:
                return name
        for name in names if self.paths_of else ():
            found = self._path(name, address.path, own=name in (address.host, address.place))
            if found is not None:
                return found
        return self._network_of(address.host) if self.network else None

    def _path(self, host: str, path: str, *, own: bool) -> str | None:
        """An entry that host and path begin with; one of `page` ends where a part of the address does."""
        if host not in self.paths_of:
            return None
        for end in range(1, min(len(path), self.longest) + 1):
            text = host + path[:end]
            if text in self.start:
                return text
            if own and text in self.page and (path[end : end + 1] in _PART_ENDS or path[end - 1] in "/?=&"):
                return text
        return None

    def _network_of(self, host: str) -> str | None:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return None
        return next((str(network) for network in self.network if address in network), None)


@dataclass(frozen=True)
class DomainList:
    """A list that was read. counts: lines by kind, as `summary` says them."""

    blocked: _Entries
    allowed: _Entries
    counts: dict[str, int]

    def first(self, url: str) -> str | None:
        """The entry that blocks an address, or None; an exception goes before any entry."""
        address = address_of(url)
        if not address.host or (self.counts.get("exception") and self.allowed.first(address)):
            return None
        return self.blocked.first(address)

    def summary(self) -> dict[str, int]:
        """How many entries of each kind were read, in words."""
        return {words: self.counts[kind] for kind, words in _WORDS.items() if self.counts.get(kind)}


def read_domains(field_name: str, named: str) -> DomainList:
    """The list that a recipe's field names, read once a process; `WerpError` names file, line and remedy.

    Memory: about 120 bytes an entry (UT1's 4.5 million adult domains take 0.5 GB a process).
    """
    path = find_list(field_name, named)
    about = path.stat()
    return _read(field_name, path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _read(field_name: str, path: Path, _size: int, _changed: int) -> DomainList:
    blocked, allowed = _Entries(), _Entries()
    counts: Counter[str] = Counter()
    off: list[Entry] = []
    bad: list[str] = []
    for number, raw in enumerate(open_list(field_name, path), 1):
        if _PLAIN.fullmatch(raw) and len(raw) < 64 and not raw.startswith(b"www.") and b"local" not in raw:
            blocked.domain.add(raw.rstrip().decode("ascii"))
            counts["domain"] += 1
            continue
        try:
            for entry in entries_of(raw.decode("utf-8").strip(_SPACE)):
                counts["exception" if entry.allows else entry.kind] += 1
                if entry.kind == "off":
                    off.append(entry)
                elif entry.text:
                    (allowed if entry.allows else blocked).add(entry)
        except UnicodeDecodeError as error:
            raise not_utf8(field_name, path, number) from error
        except BadLineError as error:
            bad.append(f"line {number}: {raw.decode('utf-8').strip(_SPACE)[:80]!r}: {error}")
    if bad:
        more = f" (and {len(bad) - _SHOWN:,} more lines)" if len(bad) > _SHOWN else ""
        raise WerpError(
            f"recipe field {field_name}: list file {path}, {'; '.join(bad[:_SHOWN])}{more}; mend or take out"
            " what can't be read (read are domains, URLs, addresses, and lines of hosts, Adblock, dnsmasq,"
            " Unbound, BIND and RPZ)"
        )
    for entry in off:
        for entries in (blocked.domain, blocked.site, blocked.page, blocked.start):
            entries.discard(entry.text)
    return DomainList(blocked, allowed, dict(counts))
