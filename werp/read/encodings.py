"""Bytes to text as the Encoding Standard (WHATWG) says: labels, and decoders that give what browsers show.

Python's codecs of the same names are often narrower, so most decoders here are a wider codec of Python's
with what it lacks filled in; `tests/read/test_encodings.py` holds each to the standard's own indexes.
A byte sequence without a meaning becomes U+FFFD and never takes an ASCII byte, such as `<`, with it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator

from resiliparse.parse.encoding import map_encoding_to_html5

#: resiliparse's map is the standard's table of labels with Python's names; these are the ones it renames.
_NAMES = {
    "cp866": "ibm866", "iso8859-11": "windows-874", "mac-roman": "macintosh", "euc_kr": "euc-kr",
    "euc_jp": "euc-jp", "iso2022_jp": "iso-2022-jp", "utf-16-le": "utf-16le", "utf-16-be": "utf-16be",
}  # fmt: skip
#: Labels that it lacks. The standard gives `replacement` for 7-bit encodings, so that a browser shows nothing
#: of such a page; Python has two of them, and no script runs here.
_MORE_LABELS = {
    "x-mac-cyrillic": "x-mac-cyrillic", "x-mac-ukrainian": "x-mac-cyrillic",
    "x-user-defined": "x-user-defined",
    "hz-gb-2312": "hz-gb-2312", "iso-2022-kr": "iso-2022-kr", "csiso2022kr": "iso-2022-kr",
}  # fmt: skip


def encoding_of(label: str | None) -> str | None:
    """The encoding that a label means, by its name in the standard in lower case; None for no label of it."""
    if not label or not label.isascii():
        return None
    label = label.strip("\t\n\f\r ").lower()
    known = map_encoding_to_html5(label, fallback_utf8=False)
    if known is None:
        return _MORE_LABELS.get(label)
    if known.startswith("iso8859-"):
        known = "iso8859-8-i" if label in ("csiso88598i", "iso-8859-8-i", "logical") else known
        return _NAMES.get(known) or known.replace("iso8859", "iso-8859")
    return _NAMES.get(known) or (known.replace("cp", "windows-") if known.startswith("cp") else known)


def decode(data: bytes, encoding: str) -> tuple[str, int]:
    """The text, and how many U+FFFD stand in it for bytes without a meaning. `encoding`: of `encoding_of`."""
    text = _DECODERS[encoding](data)
    return text, text.count("\ufffd")


def is_single_byte(encoding: str) -> bool:
    """Whether each byte is a character."""
    return encoding in _SINGLE


# --- single bytes -------------------------------------------------------------------------------

_SINGLE = {
    "ibm866": "cp866", "koi8-r": "koi8_r", "koi8-u": "koi8_u", "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic", "windows-874": "cp874", "iso-8859-8-i": "iso8859_8",
    **{f"windows-{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"iso-8859-{n}": f"iso8859_{n}" for n in (*range(2, 9), 10, 13, 14, 15, 16)},
    "x-user-defined": "ascii",
}  # fmt: skip
#: Where the standard's index has another character than Python's codec.
_OTHER = {"windows-1255": {0xCA: "\u05ba"}, "koi8-u": {0xAE: "\u045e", 0xBE: "\u040e"}}


def _single(encoding: str, codec: str) -> Callable[[bytes], str]:
    """A decoder by table; what Windows leaves undefined of 0x80 to 0x9F is a control, as on the web."""
    table = []
    for byte in range(256):
        char = bytes([byte]).decode(codec, "replace")
        if encoding == "x-user-defined" and byte > 0x7F:
            char = chr(0xF700 + byte)
        elif char == "\ufffd" and 0x80 <= byte <= 0x9F and encoding.startswith("windows-"):
            char = chr(byte)
        table.append(_OTHER.get(encoding, {}).get(byte, char))
    decoding = "".join(table)
    return lambda data: codecs.charmap_decode(data, "strict", decoding)[0]


# --- several bytes ------------------------------------------------------------------------------

Filled = tuple[str, int]  # a character, and the bytes it stands for


def _double(
    name: str,
    codec: str,
    lead: tuple[int, ...],
    fill: Callable[[bytes], Filled | None] = lambda _: None,
    other: dict[str, str] | None = None,
) -> Callable[[bytes], str]:
    """A decoder by one of Python's codecs of two and more bytes.

    lead: the bytes that begin a character; such a one takes the next byte with it unless that is ASCII.
    fill: what the codec lacks, given the next four bytes. other: characters of the codec's and the
        standard's in their place.
    """
    leads = frozenset(lead)

    def mend(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        at = error.start
        if filled := fill(error.object[at : at + 4]):
            return filled[0], at + filled[1]
        if error.reason.startswith("incomplete"):
            return "\ufffd", len(error.object)
        both = error.object[at] in leads and error.object[at + 1 : at + 2] >= b"\x80"
        return "\ufffd", at + 1 + both

    codecs.register_error(f"werp.{name}", mend)
    differs = re.compile("[" + "".join(other) + "]") if other else None

    def decoder(data: bytes) -> str:
        text = data.decode(codec, f"werp.{name}")
        if other and differs and differs.search(text):
            text = differs.sub(lambda match: other[match.group()], text)
        return text

    return decoder


def _rows(data: bytes) -> str | None:
    """Two bytes of EUC-JP by way of Shift_JIS: the rows of NEC and IBM, which Python's euc_jp lacks."""
    if len(data) < 2 or not (0xA1 <= data[0] <= 0xFE and 0xA1 <= data[1] <= 0xFE):
        return None
    pointer = (data[0] - 0xA1) * 94 + data[1] - 0xA1
    lead, trail = divmod(pointer, 188)
    shifted = bytes([lead + (0x81 if lead < 0x1F else 0xC1), trail + (0x40 if trail < 0x3F else 0x41)])
    try:
        return shifted.decode("cp932")
    except UnicodeDecodeError:
        return None


def _fill_euc_jp(data: bytes) -> Filled | None:
    if data[0] == 0x8F and len(data) > 2 and data[1] >= 0x80 and data[2] >= 0x80:
        return "\ufffd", 3  # a gap of JIS X 0212
    char = _rows(data)
    return (char, 2) if char else None


#: Python's big5hkscs has the older characters of HKSCS; these are the standard's: the code of the first, and
#: the characters from there on.
_BIG5 = (
    "877a㡵𡵓𣚞𦀡㻬𥣞㫵竼龗𤅡𨤍𣇪𠪊𣉞䌊蒄龖鐯䤰蘓墖靊鈘秐稲晠権袝瑌篅枂稬剏遆㓦珄𥶹瓆鿇垳䤯呌䄱𣚎 "
    "87c8堘穲𧭥讏䚮𦺈䆁𥶙箮𢒼鿈𢓁𢓉𢓌鿉蔄𣖻䂴鿊䓡𪷿拁灮鿋 8e69箸 8e6f簆 8e7e糎 8eab緒 8eb4縝 "
    "8ecd者 8ed0耨 8f57菁 8f69蒨 8f6e萏 8fcb覦覩 8ffe起 906d都 907a銹 90dc靜 90f1響 91bf鼖 9244蔃 "
    "92af兙兛兝兞 92c8鍮 92d1瑹 9447浧 94ca禛 95d9邗 9644靝 96ed瀞 96fc嬨 9b76爁 9b78矗 9b7b纇 "
    "9bc6駖 9bde釔 9bec惞 9bf6澶 9c42輶 9c53侻 9c62營 9c68鄄 9c6b鷰 9c77菏 9cbc尐秣 9cd0婧 9d57輋 "
    "9d5a筑 9dc4拐 9ea9恢 9eef痹 9efd汊 9f60鬮 9f66鼗 9fcb僭 9fd8弌 a063蠏 a077拎 a0d5瑨 a0df煢 "
    "a0e4牐 a3c0␀␁␂␃␄␅␆␇␈␉␊␋␌␍␎␏␐␑␒␓␔␕␖␗␘␙␚␛␜␝␞␟␡€ c6cf廴 c6d3无 c6d5癶 c6d7隶 c6de〃仝 fa5f倩 "
    "fa66偽 fabd包 fac5卄 fad5卿 fb48嘅 fbb8婷 fbf3幵 fbf9廐 fc4f彘 fc6c悤 fcb9撐 fce2晴 fcf1杞 "
    "fdb7沜渝 fdbb港 fdf1煮 fe52猪 fe6f瑜 feaa瓩 fedd砉"
)


def _big5_table() -> Iterator[tuple[bytes, str]]:
    for run in _BIG5.split():
        code = int(run[:4], 16)
        for char in run[4:]:
            yield code.to_bytes(2, "big"), char
            code += 0x23 if code & 0xFF == 0x7E else 1  # trail bytes go from 0x7E to 0xA1


_BIG5_CHARS = dict(_big5_table())


def _fill_big5(data: bytes) -> Filled | None:
    char = _BIG5_CHARS.get(data[:2])
    return (char, 2) if char else None


_FOUR_BYTES = re.compile(rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]")


def _fill_gb18030(data: bytes) -> Filled | None:
    if data[0] == 0x80:
        return "\u20ac", 1
    return ("\ufffd", 4) if _FOUR_BYTES.fullmatch(data) else None


_euc_jp = _double(
    "euc-jp", "euc_jp", (0x8E, 0x8F, *range(0xA1, 0xFF)), _fill_euc_jp,
    dict(zip("\u301c\u2016\u2212\xa2\xa3\xac", "\uff5e\u2225\uff0d\uffe0\uffe1\uffe2", strict=True)),
)  # fmt: skip
_gb18030 = _double(
    "gb18030", "gb18030", tuple(range(0x81, 0xFF)), _fill_gb18030,
    dict(zip(
        "\ue5e5\ue78d\ue78e\ue78f\ue790\ue791\ue792\ue793\ue794\ue795\ue796\ue7c7\u1e3f"
        "\ue81e\ue826\ue82b\ue82c\ue832\ue843\ue854\ue864",
        "\u3000\ufe10\ufe12\ufe11\ufe13\ufe14\ufe15\ufe16\ufe17\ufe18\ufe19\u1e3f\ue7c7"
        "\u9fb4\u9fb5\u9fb6\u9fb7\u9fb8\u9fb9\u9fba\u9fbb", strict=True,
    )),
)  # fmt: skip

_ESCAPE = re.compile(rb"\x1b(\([BJI]|\$[@B])")
_ROMAN = str.maketrans("\\~", "\xa5\u203e")


def _iso_2022_jp(data: bytes) -> str:
    """Parts between escapes: ASCII, JIS Roman, half-width katakana, JIS X 0208 (as EUC-JP has it)."""
    parts = _ESCAPE.split(data)
    text = [_seven_bits(parts[0])]
    for escape, part in zip(parts[1::2], parts[2::2], strict=True):
        if escape == b"(B":
            text.append(_seven_bits(part))
        elif escape == b"(J":
            text.append(_seven_bits(part).translate(_ROMAN))
        elif escape == b"(I":
            text.append("".join(chr(0xFF40 + byte) if 0x21 <= byte <= 0x5F else "\ufffd" for byte in part))
        else:
            text.append(_euc_jp(bytes(byte | 0x80 if 0x21 <= byte <= 0x7E else 0xFF for byte in part)))
    return "".join(text)


def _seven_bits(data: bytes) -> str:
    return data.decode("ascii", "replace")


_SHIFT_JIS_EXTRA = dict.fromkeys("\uf8f0\uf8f1\uf8f2\uf8f3", "\ufffd")  # bytes without a meaning
_DECODERS: dict[str, Callable[[bytes], str]] = {
    **{encoding: _single(encoding, codec) for encoding, codec in _SINGLE.items()},
    "utf-8": lambda data: data.decode("utf-8", "replace"),
    "utf-16le": lambda data: data.decode("utf-16-le", "replace"),
    "utf-16be": lambda data: data.decode("utf-16-be", "replace"),
    "gbk": _gb18030,
    "gb18030": _gb18030,
    "big5": _double(
        "big5", "big5hkscs", tuple(range(0x81, 0xFF)), _fill_big5,
        dict(zip(
            "\u2022\uff64\u203e\u223c\u2641\u2609\xa5\xa2\xa3",
            "\u2027\ufe51\xaf\uff5e\u2295\u2299\uffe5\uffe0\uffe1", strict=True,
        )),
    ),
    "euc-jp": _euc_jp,
    "iso-2022-jp": _iso_2022_jp,
    "shift_jis": _double(
        "shift_jis", "cp932", (*range(0x81, 0xA0), *range(0xE0, 0xFD)), other=_SHIFT_JIS_EXTRA
    ),
    "euc-kr": _double("euc-kr", "cp949", tuple(range(0x81, 0xFF))),
    "hz-gb-2312": lambda data: data.decode("hz", "replace"),
    "iso-2022-kr": lambda data: data.decode("iso2022_kr", "replace"),
}  # fmt: skip
