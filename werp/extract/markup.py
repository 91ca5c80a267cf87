"""A page's markup before any extractor sees it: made harmless, formulas and raised figures written out.

Linear in the page, and next to nothing where a page holds nothing of the kind.
"""

from __future__ import annotations

import re

from werp.extract.formulas import with_formulas
from werp.extract.raised import with_raised

#: References to characters that no XML tree may hold: lxml raises on them inside trafilatura, and the page
#: is gone. The rest (0, 128 to 159, surrogates) the extractors' parsers map as the HTML standard, 13.2.5.80.
_REFERENCE = re.compile(
    r"&#(?:0*+(?:[1-8]|1[124-9]|2\d|3[01]|6553[45])(?:;|(?!\d))"
    r"|[xX]0*+(?:[1-8bBcCeEfF]|1[0-9a-fA-F]|[fF]{3}[eEfF])(?:;|(?![0-9a-fA-F])))"
)
#: Controls that no XML tree may hold, or that are white space to Python alone. NUL shows nothing, as
#: in the standard; the others that part words become a space, as the same by reference.
_SPACES = (0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x1F)
_CONTROLS = {code: " " if code in _SPACES else None for code in range(32) if chr(code) not in "\t\n\r"}
_CONTROLS |= {0xFFFE: None, 0xFFFF: None}
_CONTROL_BYTES = bytes(code for code in _CONTROLS if code < 32)
_LONE = re.compile("[\ud800-\udfff]")


def prepared(html: str) -> str:
    """The page as the extractors get it. Pure: the same page gives the same markup."""
    return with_raised(with_formulas(harmless(html)))


def harmless(html: str) -> str:
    """Markup on which no parser chokes: no controls that it may not hold, raw or by reference.

    >>> harmless("a&#1;b&#x0B;c&#10;d\\x00e")
    'ab c&#10;de'
    """
    try:
        data = html.encode()
    except UnicodeEncodeError:
        html = _LONE.sub("\ufffd", html)
        data = html.encode()
    # A few searches in C; one regular expression over the page takes ten times as long.
    if len(data.translate(None, _CONTROL_BYTES)) < len(data) or "\ufffe" in html or "\uffff" in html:
        html = html.translate(_CONTROLS)
    return _REFERENCE.sub(_shown, html) if "&#" in html else html


def _shown(reference: re.Match[str]) -> str:
    digits = reference[0][2:].rstrip(";").lower()
    code = int(digits[1:], 16) if digits.startswith("x") else int(digits)
    return _CONTROLS.get(code) or ""
