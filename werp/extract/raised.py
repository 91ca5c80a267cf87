"""Raised and lowered text, written out: `10<sup>6</sup>` is 10^6 and not 106, `x<sub>2</sub>` is x_2.

The form is LaTeX's: what is longer than a number or a letter stands in braces. Not all that is raised is an
exponent:

| what | how it is told | becomes |
|---|---|---|
| ordinals, abbreviations | their letters, behind a number, a Roman number or letters | 1st, XIXe, Mme |
| notes | a link, a class that says so, several numbers, a number behind a word or full stop | word[1] |
| signs, text in brackets, long text | no letter, no number; brackets; over 20 characters | Brand®, word[2] |
| a word behind a word | three letters or more | kept apart: Registry New |
| cents | two digits behind a price | $19.99 |
| fractions | a raised number, a stroke, a lowered one | 1/2, 3 1/2 |
| degrees | o or 0 between a number and C or F | 20°C |
| exponents, charges, isotopes | the rest | 10^-3, x^{n+1}, Ca^{2+}, ^14C |
| numbers in chemical formulas | lowered, behind the symbol of an element | H2O |
| indices | the rest of what is lowered | x_2, a_{ij} |
"""

from __future__ import annotations

import re
from html import escape, unescape

_TAG = re.compile(r"<(/?)(su[bp])(?=[\s/>])([^<>]*)>", re.I)
_ANY_TAG = re.compile(r"<[^<>]*>")
_MOST_SOURCE = 1000  # characters of markup in one element; a longer one is a way to set type small
_MOST_TEXT = 20  # characters of an exponent or a note
_WINDOW = 200  # characters of markup that are looked at for what stands before
_AHEAD = 20  # and behind
_INLINE = frozenset(
    {
        "a",
        "abbr",
        "b",
        "big",
        "cite",
        "code",
        "em",
        "font",
        "i",
        "mark",
        "mi",
        "mn",
        "mstrong",
        "nobr",
        "q",
        "s",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "tt",
        "u",
        "var",
    }
)
_SUFFIXES = frozenset(
    {
        "st",
        "nd",
        "rd",
        "th",
        "e",
        "er",
        "re",
        "ère",
        "ème",
        "eme",
        "nde",
        "ième",
        "ieme",
        "res",
        "es",
        "ers",
        "a",
        "o",
        "os",
        "as",
        "º",
        "ª",
        "ra",
        "da",
        "do",
        "mo",
        "to",
        "ta",
        "de",
        "ste",
    }
)
_ABBREVIATIONS = frozenset({"me", "mes", "lle", "lles", "gr", "os", "md", "rs"})
_MARKS = {"tm": "™", "sm": "℠"}
_UNITS = frozenset(
    {
        "inch",
        "feet",
        "foot",
        "yard",
        "yards",
        "mile",
        "miles",
        "meter",
        "meters",
        "metre",
        "metres",
        "sinh",
        "cosh",
        "tanh",
    }
)
_ORDINAL_BASE = re.compile(r"(?:[0-9]|(?<![^\W\d_])(?:[IVXLCDMivxlcdm]+|[nN]))\Z")
_NOTED_BASE = re.compile(r"(?:[.,;:!?%…”’\"。，]|(?<![^\W\d_])([^\W\d_]{4,}))\Z")
_NUMBERS = re.compile(r"[0-9]{1,3}")
_LIST = re.compile(r"[0-9a-z*†‡]{1,3}(?:\s*[,;–-]\s*[0-9a-z*†‡]{1,3})+")
_VARIABLE = re.compile(r"(?<!\w)[^\W\d_]\Z")
_PRICE = re.compile(r"[$€£]\s?[0-9][0-9,]*\Z")
_WORD = re.compile(r"[^\W\d_]{3}\Z")
_ONE = re.compile(r"[+\-−–]?[0-9]+(?:\.[0-9]+)?|.", re.S)
_SYMBOL = (
    "(?:A[cglmrstu]|B[aehikr]?|C[adeflmnorsu]?|D[bsy]?|E[rsu]|F[elmr]?|G[ade]|H[efgos]?|I[nr]?|Kr?|L[airuv]"
    "|M[cdgnot]|N[abdehiop]?|O[gs]?|P[abdmortu]?|R[abefghnu]|S[bcegimnr]?|T[abcehilm]|U|V|W|Xe|Yb?|Z[nr])"
)
_ELEMENT = re.compile(rf"(?:^|[^a-z]){_SYMBOL}[0-9]*[)\]]?\Z")
#: An element behind its mass number; those that are English words may follow the number of a verse or a note.
_ISOTOPE = re.compile(rf"(?!(?:As|At|Be|He|I|In|No)\b){_SYMBOL}(?![A-Za-z.])")
#: A nucleus's charge, below its mass.
_CHARGE = re.compile(r"<sub[\s>]", re.I)
_MASS = re.compile("[0-9]+m?")
_FRACTION = re.compile(r"\s*(?:/|⁄|&frasl;|&#8260;)\s*<sub[\s>]", re.I)
#: A fraction as MediaWiki's templates write it: the whole number, a tag, a joiner, numerator, denominator.
_STACKED = re.compile(
    r"""([0-9]?)((?:<[^<>]*+>)?)\u2060?<span class="num">([^<>]*+)</span>(?:&frasl;|⁄)"""
    r"""<span class="den">([^<>]*+)</span>"""
)
_NUMERATOR = re.compile(r"[0-9]\s*[/⁄]\s*\Z")
_TEMPERATURE = re.compile(r"\s?[CF](?![A-Za-z])")
_POWER_OF_TEN = re.compile(r"(?<![0-9])10\s\Z")


def with_raised(html: str) -> str:
    """The markup with every short `sup` and `sub` replaced by its text, written as this module says."""
    if 'class="den"' in html:
        html = _STACKED.sub(_on_one_line, html)
    if "</su" not in html and "</SU" not in html:
        return html
    pieces = _Pieces()
    opened: list[tuple[str, str, int, int]] = []  # name, attributes, piece of the tag, length before it
    at = 0
    for tag in _TAG.finditer(html):
        pieces.add(html[at : tag.start()])
        at = tag.end()
        name = tag[2].lower()
        if not tag[1]:
            opened.append((name, tag[3], len(pieces.all), pieces.length))
            pieces.add(tag[0])
            continue
        if not opened or opened[-1][0] != name:  # crossed tags: both stay
            opened.clear()
            pieces.add(tag[0])
            continue
        _, attributes, first, before = opened.pop()
        pieces.add(tag[0])
        if pieces.length - before <= _MOST_SOURCE:
            source = "".join(pieces.all[first:])
            pieces.cut(first, before)
            base, linked = _base(pieces.tail())
            note = linked or _says_note(attributes, source)
            pieces.add(_written(name, source, base, note, html[at : at + _AHEAD]))
    pieces.add(html[at:])
    return "".join(pieces.all)


class _Pieces:
    """Markup in the making: its pieces, none of them empty, and their length in all."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.length = 0

    def add(self, piece: str) -> None:
        if piece:
            self.all.append(piece)
            self.length += len(piece)

    def cut(self, first: int, length: int) -> None:
        del self.all[first:]
        self.length = length

    def tail(self) -> str:
        """The last characters, `_WINDOW` at most."""
        found: list[str] = []
        wanted = _WINDOW
        for piece in reversed(self.all):
            found.append(piece[-wanted:])
            wanted -= len(found[-1])
            if not wanted:
                break
        return "".join(reversed(found))


def _base(tail: str) -> tuple[str, bool]:
    """The text before, empty at the start of a block; and whether a link to a note begins there."""
    linked = False
    while tail.endswith(">"):
        start = tail.rfind("<")
        name = tail[start + 1 :].lstrip("/").split(">")[0].split()[:1]
        if start < 0 or not name or name[0].lower() not in _INLINE:
            return "", linked
        linked = linked or (name[0].lower() == "a" and tail[start + 1] != "/" and "#" in tail[start:])
        tail = tail[:start]
    return unescape(tail[tail.rfind(">") + 1 :])[-40:], linked


def _says_note(attributes: str, source: str) -> bool:
    attributes = attributes.lower()
    return "<a" in source.lower() or any(word in attributes for word in ("note", "reference", "cite"))


def _written(name: str, source: str, base: str, note: bool, following: str) -> str:
    """What stands for an element: `source` is its markup, `following` what stands behind it."""
    shown = unescape(_ANY_TAG.sub("", source))
    text = " ".join(shown.split())
    if not text:
        return "" if "<img" not in source.lower() else source
    if _POWER_OF_TEN.search(base) and name == "sup":
        base = base.rstrip()
    elif base[-1:].isspace():
        base = ""
    plain = len(text) > _MOST_TEXT or not any(c.isalnum() for c in text) or text[0] in "[.,:°º"
    plain = plain or (text[0] == "(" and not _VARIABLE.search(base))
    if plain or (name == "sub" and not base):
        out = text
    elif not base and _is_nuclide(text, following):
        out = "^" + _grouped(text)
    elif name == "sup":
        out = _figure(text, base, following) or _raised(text, base, note)
    else:
        out = _lowered(text, base)
    # Without anything to be raised against, as before a footnote or a verse, only the next word is kept off.
    apart = shown[-1].isspace() or out[0] == " " or (not base and out[-1].isalnum() and out[0] != "^")
    return escape(f"{out} " if apart and following[:1].isalnum() else out)


def _on_one_line(fraction: re.Match[str]) -> str:
    whole, tag, numerator, denominator = fraction.groups()
    return f"{whole}{' ' if whole else ''}{tag}{numerator}/{denominator}"


def _is_nuclide(text: str, following: str) -> bool:
    return bool(_MASS.fullmatch(text) and (_ISOTOPE.match(following) or _CHARGE.match(following)))


def _figure(text: str, base: str, following: str) -> str | None:
    """The numerator of a fraction, or degrees, behind a number."""
    if not base[-1:].isdigit():
        return None
    if text.isdigit() and _FRACTION.match(following):
        return f" {text}"
    return "°" if text in "oO0" and _TEMPERATURE.match(following) else None


def _raised(text: str, base: str, note: bool) -> str:
    low = text.lower()
    if _PRICE.search(base) and re.fullmatch("[0-9]{2}", text):
        return f".{text}"
    if (note and (base or text.isdigit())) or _is_note(low, base):
        return f"[{text}]"
    if low in _MARKS or not base or _is_suffix(low, base):
        return _MARKS.get(low, text)
    if text.isalpha() and len(text) > 2 and len(base) > 1 and base[-2].isalnum():
        return f" {text}"
    return "^" + _grouped(text)


def _is_note(text: str, base: str) -> bool:
    if _LIST.fullmatch(text):
        return not text.isalpha()
    noted = _NOTED_BASE.search(base)
    return bool(noted and _NUMBERS.fullmatch(text) and (noted[1] or "").lower() not in _UNITS)


def _is_suffix(text: str, base: str) -> bool:
    if text in _ABBREVIATIONS:
        return base[-1].isalpha()
    if text == "th" and _VARIABLE.search(base):
        return True
    return text in _SUFFIXES and bool(_ORDINAL_BASE.search(base))


def _lowered(text: str, base: str) -> str:
    if text.isdigit() and (_ELEMENT.search(base) or _NUMERATOR.search(base)):
        return text
    if text.isalpha() and len(text) > 2 and _WORD.search(base):
        return f" {text}"
    return "_" + _grouped(text)


def _grouped(text: str) -> str:
    return text if _ONE.fullmatch(text) else f"{{{text}}}"
