"""Which characters a text holds: one rule for every extractor, by fixed ranges.

Ranges and not the character classes of the interpreter, whose Unicode version changes with its release: a
letter that a later version adds is a letter here too. What leaves is what no script is spelt with:

- controls, non-characters, the byte-order mark, the object replacement character, interlinear marks;
- private-use characters, which mean something to one font alone (on the web, icons);
- hyphens and joints that only say where a line may break (U+00AD, U+2060; U+200B but for the scripts that
  mark words with it), deprecated format characters, and invisible operators of formulas;
- marks of direction: by Unicode's annex 9, section 2, they order the display and otherwise are to be ignored;
- tags, but for those that make the flag of a country's part (UTS 51, ED-14A).

The joiners U+200C and U+200D stay beside a character of the scripts that are spelt with them (Persian, Indic
scripts and others, emoji); elsewhere they are an editor's leavings or break ligatures. Variation selectors,
U+034F, U+180E and the format characters of Arabic, Syriac, Kaithi, hieroglyphs, shorthand and music stay.
"""

from __future__ import annotations

import re

#: Controls that part words, as white space does; in HTML none of them ends a line.
_SPACES = "\x0b-\r\x1c-\x1f\x85\u2028\u2029"
#: The last two code points of every plane, and U+FDD0 to U+FDEF.
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17)
)
_PRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_LEAVES = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc"
    f"\U000e0000-\U000e001f\U000e0080-\U000e00ff\U000e01f0-\U000e0fff{_PRIVATE}{_NONCHARACTERS}"
)
#: Scripts without spaces between words, where U+200B may mark them: Thai, Lao, Tibetan, Myanmar, Khmer and
#: their neighbours. Blocks, not scripts: a block's range is never changed.
_UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff\uaa60-\uaadf"
)
_TAGS = "\U000e0020-\U000e007f"
#: Flags of parts of countries: a black flag, three to six tags of letters and digits, the cancel tag.
_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
#: Whatever needs a second look; most texts hold nothing of it.
_SPECIAL = re.compile(f"[{_SPACES}{_LEAVES}{_TAGS}\u200b-\u200d\ud800-\udfff]")
_GONE = re.compile(f"[{_LEAVES}]+")
_TAGGED = re.compile(f"({_FLAG})|[{_TAGS}]+")
_INVISIBLE = re.compile("[\u200b-\u200d]+")
_SPELT_WITH_BREAKS = re.compile(f"[{_UNSPACED}]")
#: From Hebrew to Khmer and Mongolian, their extensions and presentation forms, scripts of the first plane
#: from Kharoshthi to the Brahmic ones, Adlam; and what emoji are made of.
_SPELT_WITH_JOINERS = re.compile(
    "[\u0590-\u1cff\ua800-\uaaff\uabc0-\uabff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00011fff"
    "\U0001e900-\U0001eeff\xa9\xae\u203c\u2049\u20e3\u2100-\u2bff\u3030\u303d\u3297\u3299\ufe0f"
    "\U0001f000-\U0001faff\U000e007f]"
)
_SPACE = re.compile(f"\r\n|[{_SPACES}]")
_LONE = re.compile("[\ud800-\udfff]")

#: What a line may hold and show nothing: white space, and what shows nothing where it stands alone.
_BLANKS = (
    " \t\xa0\u034f\u115f\u1160\u1680\u180b-\u180f\u2000-\u200d\u202f\u205f\u2800\u3000\u3164"
    "\ufe00-\ufe0f\uffa0"
)
_BLANK_LINE = re.compile(f"^[{_BLANKS}]++(?:\n|\\Z)", re.M)
_EMPTY_LINES = re.compile("\n{3,}")


def cleaned(text: str) -> str:
    """The text without the characters that leave it (see this module); lone surrogates become U+FFFD.

    >>> cleaned("a\\x00b\\ufeff, c\\u00adod\\x0be, \\u0645\\u06cc\\u200c\\u062e")
    'ab, cod e, می\u200cخ'
    """
    if not _SPECIAL.search("".join(set(text))):  # a fifth of the time of a search through the text
        return text
    text = _GONE.sub("", _LONE.sub("\ufffd", text))
    text = _TAGGED.sub(lambda found: found[1] or "", text)
    text = _SPACE.sub(lambda found: "\n" if found[0] == "\r\n" else " ", text)
    return _INVISIBLE.sub(_needed, text)


def _needed(found: re.Match[str]) -> str:
    """What a script needs of a run of U+200B and joiners: a break between its characters, or the joiners."""
    start, end = found.span()
    before, after = found.string[max(start - 1, 0) : start], found.string[end : end + 1]
    if set(found[0]) == {"\u200b"}:
        both = _SPELT_WITH_BREAKS.match(before) and _SPELT_WITH_BREAKS.match(after)
        return "\u200b" if both else ""
    either = _SPELT_WITH_JOINERS.match(before) or _SPELT_WITH_JOINERS.match(after)
    return found[0].replace("\u200b", "") if either else ""


def tidy(text: str) -> str:
    """An extractor's text as it is stored: cleaned, without lines that show nothing.

    An empty line, by which resiliparse parts blocks, stays; a line of white space is no line and goes.
    """
    text = _BLANK_LINE.sub("", cleaned(text)).strip("\n")
    return _EMPTY_LINES.sub("\n\n", text) if "\n\n\n" in text else text
