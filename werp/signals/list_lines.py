"""A line of a list of hosts and pages, read as its publisher's format means it.

| line | blocks |
|---|---|
| `x.example`, `.x.example`, `*.x.example` | the host and all hosts below it |
| `0.0.0.0 x.example y.example` (hosts; also `127.0.0.1`, `::`, `::1`) | each, as above, but for `localhost` |
| `||x.example^`, `||x.example^$third-party` (Adblock) | the same; `@@` takes a host or page out again |
| `address=/x.example/0.0.0.0`, `server=/x.example/`, `local=/x.example/` (dnsmasq) | the same |
| `local-zone: "x.example" refuse` (Unbound), `zone "x.example" {...}` (BIND) | the same |
| `x.example CNAME .`, `32.1.2.0.192.rpz-ip CNAME .` (response policy zones) | the same; the network |
| `www.x.example` | `x.example` and `www.x.example` alone |
| `x.example/path`, `http://x.example/path?q` (UT1's `urls`) | that page and those below it, on this host |
| `||x.example/path` | addresses on the host, or below it, whose path begins so |
| `x.example:8080` | the host on this port alone |
| `192.0.2.1`, `[2001:db8::1]`, `192.0.2.0/24` | the address, the network |

Comments (`#`, `!`, `;`, `//`, `[Adblock Plus 2.0]`) and Adblock's rules on parts of pages (`##`, `$script`)
are told apart and block nothing; any other line is an error. hosts(5) names a host alone: here, as in uBlock
Origin, what is below it falls too. Host names are compared in lower case and in ASCII (UTS 46), paths without
regard to case or percent-encoding.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

import idna

_OWN_NAMES = """
localhost localhost.localdomain local broadcasthost ip6-localhost ip6-loopback ip6-localnet ip6-mcastprefix
ip6-allnodes ip6-allrouters ip6-allhosts localhost4 localhost6 localhost4.localdomain4 localhost6.localdomain6
"""
#: Names of the machine itself, in every hosts file (hosts(5), and the heads of published ones).
_OWN = frozenset(_OWN_NAMES.split())
_PAGE_OPTIONS = """
third-party 3p first-party 1p document doc all popup network important match-case badfilter reason
"""
#: Options of Adblock under which a rule still says that the host is bad.
_ON_PAGES = frozenset(_PAGE_OPTIONS.split())
_PART_OPTIONS = """
script image stylesheet css object object-subrequest xmlhttprequest xhr subdocument frame ping beacon
websocket webrtc media font other csp redirect redirect-rule rewrite removeparam queryprune replace header
domain from to method denyallow elemhide ehide generichide ghide specifichide shide genericblock
inline-script inline-font mp4 empty strict1p strict3p permissions uritransform urlskip cname sitekey app
client ctag dnstype dnsrewrite extension jsinject content urlblock cookie stealth hls jsonprune xmlprune
referrerpolicy popunder _ noop
"""
#: Those under which it is on parts of pages, or for some clients (Adblock Plus, uBlock Origin, AdGuard).
_ON_PARTS = frozenset(_PART_OPTIONS.split())
_HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.I)
_COSMETIC = re.compile(r"[^\s|/@#]*#[@?$%]{0,3}#[^\s#]|\S+\$\$\S")
_HEAD = re.compile(r"\[[A-Za-z][^\]:]*+\]")
_OPTIONS = re.compile(r"\$(?=~?[a-z0-9_-]+(?:=|,|$))", re.I)
#: AdGuard's lists may leave out the bars.
_UNBARRED = re.compile(r"(?:\*\.)?[\w-]+(?:\.[\w-]+)+(?:\^\S*|\$[~\w]\S*)")
_DNSMASQ = re.compile(r"(address|server|local)=/(.+)/([^/]*)", re.I)
_UNBOUND = re.compile(r"local-(?:zone|data):\s*\"?(\S+?)\"?\s+(.*)", re.I)
_BIND = re.compile(r"zone\s+\"([^\"]+)\".*", re.I)
#: White space, TTL and class, as zone files have them between a name and its record.
_TO_RECORD = r"\s+(?:\d+\s+)?(?:IN\s+)?"
_RPZ = re.compile(rf"(\S+){_TO_RECORD}(?:CNAME\s+(\S+)|A{{1,4}}\s+[0-9a-f.:]+)", re.I)
#: What of a zone or a configuration names no host to block; an SOA record may go over lines of numbers.
_ZONE_HEAD = re.compile(
    rf"\$(?:TTL|ORIGIN)\s.*|@\s.*|[a-z]\S*{_TO_RECORD}(?:SOA|NS|TXT)\s.*|server:"
    r"|(?:\d+\s+)?(?:IN\s+)?NS\s.*|\d[\dsmhdw\s]*+[);].*|\).*",
    re.I,
)
#: Names of response policy zones that stand for addresses, or for what no URL shows.
_RPZ_TRIGGER = re.compile(r"(\S+)\.rpz-(ip|client-ip|nsip|nsdname)(?:\..*)?", re.I)


class Entry(NamedTuple):
    """What a line says.

    kind: `domain`, `site` (a host alone), `page`, `start` (of a path), `network`; `off` takes a rule back;
        `comment`, `own` (a name of the machine itself) and `part` (a rule on parts of pages) say nothing.
    text: host, host:port, host/path or network. allows: an exception.
    """

    kind: str
    text: str = ""
    allows: bool = False


class BadLineError(ValueError):
    """Why a line can't be read."""


class Address(NamedTuple):
    """Host in ASCII without `www.`, port where it is not the usual one, path and query in lower case.

    Without a host nothing matches it. A URL has its port always, an entry of a list where it names another
    than its scheme's.
    """

    host: str
    port: str
    path: str

    @property
    def place(self) -> str:
        """Host and port as entries write them."""
        host = f"[{self.host}]" if ":" in self.host and self.port else self.host
        return f"{host}:{self.port}" if self.port else host


def entries_of(line: str) -> Iterator[Entry]:
    """What a line of a list says; `BadLineError` where it is of none of the formats."""
    if not line:
        return
    if _COSMETIC.match(line):
        yield Entry("part")
    elif line[0] in "#!;" or line.startswith("//") or _HEAD.fullmatch(line) or _ZONE_HEAD.fullmatch(line):
        yield Entry("comment")
    elif line.startswith(("|", "@@", "/")):
        yield _adblock(line)
    elif found := _UNBOUND.fullmatch(line):
        yield _host(found[1])._replace(allows="transparent" in found[2])
    elif found := _BIND.fullmatch(line):
        yield _host(found[1])
    else:
        line = re.split(r"(?<!\s)\s++(?:[#;!]|//)", line, maxsplit=1)[0].strip()  # a comment behind the entry
        if found := _DNSMASQ.fullmatch(line):
            yield from _dnsmasq(*found.groups())
        elif (found := _RPZ.fullmatch(line)) and _ip(found[1]) is None:
            yield _rpz(found[1])._replace(allows=(found[2] or "").lower().startswith("rpz-passthru"))
        else:
            yield from _plain(line)


def _plain(line: str) -> Iterator[Entry]:
    """A host, URL or address, or a line of a hosts file."""
    if "://" not in line:
        line = line.partition("#")[0].strip()
    first, *names = line.split()
    null = _ip(first) if names else None
    if null is not None:
        for name in names:
            if name.lower() in _OWN or _ip(name) is not None:
                yield Entry("own")
            elif null.is_loopback or null.is_unspecified:
                yield _host(name)
            else:
                raise BadLineError(f"maps a name to {first}; lines that block map to 0.0.0.0 or 127.0.0.1")
    elif names:
        raise BadLineError("more than one word")
    elif first.lower() in _OWN:
        yield Entry("own")
    elif _UNBARRED.fullmatch(first):
        yield _adblock(f"||{first}")
    else:
        yield _single(first)


def _single(text: str) -> Entry:
    """A host, a host and path, a URL, an IP address or a network."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        if "host bits" in str(error):
            raise BadLineError(f"{error}: a network has zeros there, a page has http:// before it") from error
    else:
        return Entry("network", str(network)) if "/" in text else Entry("domain", str(network[0]))
    scheme = _SCHEME.match(text)
    if not scheme:
        text = re.sub(r"^(?:\*\.|\.)+", "", text)
    if "*" in text:
        raise BadLineError("a wildcard that is not in front, as in `*.x.example`; list the hosts")
    address = address_of(text, strict=True)
    if address.path.strip("/"):
        return Entry("page", address.place + address.path.rstrip("/"))
    named = text[scheme.end() if scheme else 0 :].rpartition("@")[2].lower()
    return Entry("site" if named.startswith("www.") and not address.port else "domain", address.place)


def _host(text: str) -> Entry:
    """A host of a format that names hosts alone."""
    if "/" in text:
        raise BadLineError(f"{text!r} is no host name")
    return _single(text.lstrip("*"))


def _rpz(name: str) -> Entry:
    """The owner of a record of a response policy zone: a host, or `24.0.2.0.192.rpz-ip`, a network."""
    trigger = _RPZ_TRIGGER.fullmatch(name)
    if trigger is None:
        return _host(name)
    if trigger[2].lower() != "ip":
        return Entry("part")
    length, *parts = trigger[1].split(".")
    mark = "." if len(parts) == 4 and all(map(str.isdigit, parts)) else ":"
    address = re.sub(":?zz:?", "::", mark.join(reversed(parts)))
    try:
        return Entry("network", str(ipaddress.ip_network(f"{address}/{length}")))
    except ValueError as error:
        raise BadLineError(str(error)) from error


def _dnsmasq(option: str, names: str, server: str) -> Iterator[Entry]:
    """`server=/x/#` sends a name to the usual servers, whatever stands above it: an exception."""
    asks = option.lower() == "server" and server not in ("", "0.0.0.0", "127.0.0.1", "::")
    if asks and server != "#":
        raise BadLineError(f"sends the name to the server {server} and blocks nothing")
    for name in names.split("/"):
        yield _host(name)._replace(allows=asks)


def _adblock(line: str) -> Entry:
    """A network rule of Adblock's filter language, with AdGuard's and uBlock Origin's additions."""
    allows, rule = line.startswith("@@"), line.removeprefix("@@")
    pattern, options = rule, set[str]()
    if found := list(_OPTIONS.finditer(rule)):
        pattern, given = rule[: found[-1].start()], rule[found[-1].end() :].lower().split(",")
        options = {option.strip().partition("=")[0].removeprefix("~") for option in given}
    if unknown := options - _ON_PAGES - _ON_PARTS:
        raise BadLineError(f"unknown option {min(unknown)!r}")
    if options & _ON_PARTS:
        return Entry("part")
    anchored = pattern.startswith("||")
    if not anchored and not re.match(r"\|?https?://", pattern, re.I):
        raise BadLineError("a pattern without a host; ||x.example^ has one")
    body = pattern.lstrip("|").removesuffix("|").removesuffix("*")
    ended = body.endswith("^")
    body = body.removesuffix("^").removeprefix("*.")
    if "*" in body or "^" in body or body.endswith("."):
        raise BadLineError("a pattern with a wildcard inside or an open end; list hosts, or paths on them")
    entry = _single(body)
    if entry.kind == "page" and anchored and not ended:
        address = address_of(body, strict=True)
        entry = Entry("start", address.place + address.path)
    return Entry("off", entry.text) if "badfilter" in options else entry._replace(allows=allows)


def address_of(url: str, *, strict: bool = False) -> Address:
    """A URL, with or without its scheme, as it is compared; strict: `BadLineError` where it has no host."""
    try:
        parts = urlsplit(url if _SCHEME.match(url) else f"//{url.removeprefix('//')}")
        host, port = _ascii(parts.hostname or ""), str(parts.port or "")
    except (ValueError, UnicodeError) as error:
        if strict:
            raise BadLineError(f"no host name or URL ({error})") from error
        return Address("", "", "")
    if strict:
        _check(url, parts, host)
    if host.startswith("www.") and host.count(".") > 1:
        host = host.removeprefix("www.")
    usual = {"http": "80", "https": "443"}.get(parts.scheme, "")
    if not strict:
        port = port or usual
    elif port == usual:
        port = ""
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path
    path = unquote(path) if "%" in path else path
    return Address(host, port, path.lower())


def _check(line: str, parts: SplitResult, host: str) -> None:
    """`BadLineError` where an entry is no host or URL, or would block a host for a part of it."""
    if not _SCHEME.match(line) and "@" in parts.netloc:
        raise BadLineError("an e-mail address; a host stands without what is before its @")
    # WHATWG's URL standard: a host that ends in a number is an IPv4 address, or none.
    named = len(host) <= 253 and _HOST.fullmatch(host) and not host.rpartition(".")[2].isdigit()
    if not named and _ip(host) is None:
        raise BadLineError("no host name or URL")
    if parts.fragment and not parts.path.strip("/") and not parts.query:
        raise BadLineError(f"a place inside a page (#{parts.fragment[:20]}), which no address of a crawl has")


@functools.lru_cache(maxsize=65_536)
def _ascii(host: str) -> str:
    """A host name as DNS has it, an IPv6 address in its shortest form; `UnicodeError` where it is none."""
    host = unquote(host).lower().rstrip(".")
    if not host.isascii():
        return idna.encode(host, uts46=True).decode("ascii")
    address = _ip(host) if ":" in host else None
    return host if address is None else str(address)


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if not (text[:1].isdigit() or ":" in text):
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def parents(host: str) -> Iterator[str]:
    """A host and all above it, the longest first."""
    while host:
        yield host
        host = host.partition(".")[2]
