"""E-mail and public IPv4 addresses in a text: where they stand, by datatrove's patterns or by context.

`datatrove` finds what the patterns of datatrove 0.10.1 find (`formatters/pii.py`). They ask for a word
boundary before an e-mail address, so that one behind a Chinese character is missed, and take every four
numbers up to 255 with dots between them for an IP address: versions, clauses and OIDs too.

`context` takes no offence at what stands beside an address, and tells a dotted number from an IP address by,
in this order:

1. its form: five parts or more, a letter, `_`, `-rc1` or `.tar` right beside it, `==` or `~` before it: a
   number. `://` before it, `:80` or `/24` behind it: an address;
2. the nearest cue of the sentence before it: `version`, `section`, `§`, `OID`; `IP`, `address`, `ping`;
3. its parts: all under 50, or a 0 among the last three: a number, unless it is a well-known resolver. Of
   public addresses drawn at random 0.15 % have the first, 1.2 % the second.

Both take time in proportion to the text: an e-mail address is looked for from its `@`, in both directions.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Matching = Literal["context", "datatrove"]
Place = tuple[int, int]

_ATOM = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"  # RFC 5322's atext
_ALNUM = "A-Za-z0-9"
#: Letters with marks, of scripts that are written with the letters of ASCII: part of a name, not beside it.
_MARKED = "À-ÖØ-öø-ɏ\u0300-\u036fḀ-ỿ"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"


class _Email(NamedTuple):
    """local: characters of a local part, read backwards. first: where one begins. domain: behind the `@`."""

    local: re.Pattern[str]
    first: re.Pattern[str]
    domain: re.Pattern[str]


def _label(letters: str) -> str:
    return f"[{letters}]++(?:-++[{letters}]++)*+"


_WIDE = _ALNUM + _MARKED
_EMAILS: dict[Matching, _Email] = {
    "datatrove": _Email(
        re.compile(f"[{_ATOM}.]*+"),
        re.compile(rf"\b[{_ATOM}]"),
        re.compile(
            rf"(?<=@)(?:{_label(_ALNUM)}(?:\.{_label(_ALNUM)})++"
            rf"|\[(?:{_OCTET}\.){{3}}(?:{_OCTET}|[A-Za-z0-9-]*[A-Za-z0-9]:)\])"
        ),
    ),
    "context": _Email(
        re.compile(f"[{_ATOM}{_MARKED}.]*+"),
        re.compile(f"[{_WIDE}_]"),
        # The last label begins with a letter: `lodash@4.17.21` is a version.
        re.compile(
            rf"(?<=@)(?:(?:{_label(_WIDE)}\.)+[A-Za-z](?:-*+[{_ALNUM}]){{0,62}}+"
            r"|\[(?:IPv6:)?[0-9A-Fa-f:.]{2,45}\])"
        ),
    ),
}


def email_places(text: str, matching: Matching) -> Iterator[Place]:
    """Where e-mail addresses stand, from left to right."""
    email = _EMAILS[matching]
    free = 0  # where the next address may begin
    at = text.find("@")
    while at >= 0:
        domain = email.domain.match(text, at + 1)
        begin = _local_part(text, free, at, email) if domain else None
        free = at + 1
        if domain and begin is not None:
            free = domain.end()
            yield begin, free
        at = text.find("@", free)


def _local_part(text: str, free: int, at: int, email: _Email) -> int | None:
    """Where the local part before an `@` begins: dots stand between its characters, one at a time."""
    backwards = email.local.match(text[free:at][::-1])
    begin = at - (backwards.end() if backwards else 0)
    dots = text.rfind("..", begin, at)
    begin = dots + 2 if dots >= 0 else begin
    if begin >= at or text[at - 1] == ".":
        return None
    first = email.first.search(text, begin, at)
    return first.start() if first else None


_DOTTED = re.compile(r"(?<![0-9])[0-9]++(?:\.[0-9]++){3,}+")
_QUAD = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")


def ip_places(text: str, apart: Sequence[Place], matching: Matching) -> Iterator[Place]:
    """Where public IPv4 addresses stand outside the places `apart`, from left to right."""
    begin = 0
    for start, end in [*apart, (len(text), len(text))]:
        for dotted in _DOTTED.finditer(text, begin, start):
            if matching == "context":
                if _is_public(dotted[0]) and _is_address(text, *dotted.span()):
                    yield dotted.span()
                continue
            for quad in _QUAD.finditer(text, *dotted.span()):
                if _is_public(quad[0]):
                    yield quad.span()
        begin = end


def _is_public(address: str) -> bool:
    try:
        return len(address) < 16 and ipaddress.IPv4Address(address).is_global
    except ValueError:  # not four parts, one above 255, or a leading zero
        return False


_WINDOW = 48  # characters before a number in which a cue counts
_GLUED_BEFORE = re.compile(rf"(?:[{_WIDE}_+~^]|[{_WIDE}][-.]|==|[<>]=?)\Z")
_RANGE_BEFORE = re.compile(rf"(?<![0-9.]){_QUAD.pattern}-\Z")  # the first address of two
_GLUED_AFTER = re.compile(rf"[{_WIDE}_]|[-+~](?!{_QUAD.pattern})[{_WIDE}]|\.[{_WIDE}]")
_ADDRESS_BEFORE = re.compile(r"://(?:[^\s/@]{1,40}@)?\Z")
_ADDRESS_AFTER = re.compile(r":[0-9]{2,5}(?![0-9.])|/(?:[89]|[12][0-9]|3[0-2])(?![0-9.])")
_CUE = re.compile(
    r"(?P<number>(?<!\w)(?:v|vers?|versions?|versión|versões|versão|versione|versie|wersj[aie]|sürüm\w*"
    r"|rel|releases?|rev|revisions?|builds?|patch|firmware|kernel|oids?|object identifiers?"
    r"|sections?|sect?|subsections?|secci[oó]n|se[cç]ção|seção|sezione|clauses?|cl|cláusula|clausola"
    r"|articles?|art|artículo|artigo|articolo|artikel|madde|paragra(?:ph|phs|f|fo)|paras?|alinéa|apartado"
    r"|chapters?|chap?|chapitre|capítulo|capitolo|kapitel|kap|hoofdstuk|rozdział|bölüm"
    r"|abschnitt|absatz|abs|ziffer|ziff|nr|anhang|anlage|annexe?|anexo|appendix|abbildung|abb|tabelle"
    r"|figures?|fig|tables?|equation|eq|criterion|criteria|верси[яию]|раздел\w{0,3}|пункт\w{0,3}|п|стать[яеи]|ст|глава)"
    r"(?!\w)|[§¶]|版本|バージョン|第|버전|제|إصدار|المادة|البند|القسم)"
    r"|(?P<address>(?<!\w)(?:ips?|ipv4|ip-\w{1,20}|addr|address(?:es)?|adress[ea]n?|adresses?|dirección|endereço|indirizzo"
    r"|adres\w{0,3}|адрес\w{0,3}|айпи|hosts?|hostname|hôte|dns|nameservers?|resolvers?|gateway|subnet|netmask|whois"
    r"|ping|traceroute|tracert|ssh|telnet|servers? ?(?:at|is|on|[:=]))(?!\w)"
    r"|地址|位址|服务器|伺服器|主机|主機|アドレス|サーバー?|ホスト|주소|서버|아이피|عنوان|خادم|ไอพี|ที่อยู่|पता)",
    re.I,
)  # fmt: skip
_SENTENCE_END = re.compile(r"[!?。！？]|\.\s")
#: Public resolvers, whose addresses were chosen to be small.
_RESOLVERS = frozenset(
    {"1.1.1.1", "1.0.0.1", "4.2.2.1", "4.2.2.2", "4.2.2.3", "4.2.2.4", "8.8.8.8", "8.8.4.4", "9.9.9.9"}
)


def _is_address(text: str, start: int, end: int) -> bool:
    """Whether four numbers with dots between them are an IP address here; see the module's text."""
    before = text[max(0, start - _WINDOW) : start].rpartition("\n")[2]
    cue = _nearest_cue(before)
    names_address = cue is not None and cue.lastgroup == "address"
    named_right_before = names_address and cue is not None and before[cue.end() :] in ("", "-")
    beside = _GLUED_BEFORE.search(before) and not _RANGE_BEFORE.search(before)
    if _GLUED_AFTER.match(text, end) or (beside and not named_right_before):
        return False
    if _ADDRESS_BEFORE.search(before) or _ADDRESS_AFTER.match(text, end):
        return True
    if cue is not None:
        return names_address
    parts = [int(part) for part in text[start:end].split(".")]
    return text[start:end] in _RESOLVERS or not (max(parts) < 50 or 0 in parts[1:])


def _nearest_cue(before: str) -> re.Match[str] | None:
    """The last cue of a line before a number, if no sentence ends between them."""
    cues = list(_CUE.finditer(before))
    if not cues or _SENTENCE_END.search(before[cues[-1].end() :].removeprefix(".")):
        return None
    return cues[-1]
