"""Text of strangers, made safe to look at: what a terminal or a browser would obey becomes visible."""

from __future__ import annotations

import re

#: Controls (but tab and line feed), bidirectional marks and overrides, invisible joints, line and paragraph
#: separators, tags, lone surrogates, non-characters: all that can hide, reorder or overwrite what is read.
#: The joiners U+200C and U+200D stay, since Persian, Hindi and emoji are spelt with them, and so does U+00AD.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """The text with every character that would be obeyed instead of shown written as `[U+202E]`.

    >>> visible("safe\\x1b[31m \\u202eevil\\x00")
    'safe[U+001B][31m [U+202E]evil[U+0000]'
    """
    return _OBEYED.sub(lambda match: f"[U+{ord(match.group()):04X}]", text.replace("\r\n", "\n"))


def one_line(text: str, most: int) -> str:
    """The text's beginning on one line, visible, cut to `most` characters."""
    line = " ".join(text[: 4 * most].split())
    return visible(line if len(line) <= most else line[: most - 1] + "…")


def short_value(value: str, most: int) -> str:
    """A value of the ledger for the eye: a fraction to five digits, anything else cut to `most` characters.

    >>> short_value("0.8901492953300476", 40), short_value("100000", 40), short_value("www.example", 40)
    ('0.89015', '100000', 'www.example')
    """
    try:
        return f"{float(value):.5g}" if "." in value else one_line(value, most)
    except ValueError:
        return one_line(value, most)
