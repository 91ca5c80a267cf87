"""Labels and decoders beside the Encoding Standard's own tables.

The digests are of `encodings.json` and `indexes.json` in whatwg/encoding at a985b62: every label with its
encoding, and every place of an index with its character, U+FFFD where it has none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from werp.read.encodings import decode, encoding_of

#: SHA-256 of the standard's index, first 16 digits.
INDEXES = {
    "jis0208": "06423b71f33cd998",
    "jis0208-euc": "f803e0dd187e20a1",
    "jis0212": "e948a7f5904f1695",
    "euc-kr": "8b62a691b528d282",
    "big5": "154dec246fbe7279",
    "gb18030": "9234b1097f3c6be2",
    "ibm866": "454aea4d96993030",
    "iso-8859-2": "701be20050253412",
    "iso-8859-3": "89d0106756e6955f",
    "iso-8859-4": "bc18bae08a98e7ef",
    "iso-8859-5": "3eb52c805f78c28d",
    "iso-8859-6": "06458e81b4b5e5d0",
    "iso-8859-7": "dcf11c0dddc260ae",
    "iso-8859-8": "43bb5c2e874d787c",
    "iso-8859-10": "dd28241fd94bb2b0",
    "iso-8859-13": "0a77345bda2f9410",
    "iso-8859-14": "6c5dc5463439ec41",
    "iso-8859-15": "9f7bbdbada6d2b01",
    "iso-8859-16": "b3b3614d1c57fabc",
    "koi8-r": "0262bf60c1930c4d",
    "koi8-u": "159d0ed73e15a961",
    "macintosh": "8aad857d5215f711",
    "windows-874": "24ba75635396d34f",
    "windows-1250": "62255882c9764016",
    "windows-1251": "5387a9b67573dfc9",
    "windows-1252": "762e05337e2ee0c2",
    "windows-1253": "f9454539a0fbd4ac",
    "windows-1254": "0fa22dffb2a59d90",
    "windows-1255": "50ca1c19b519b43d",
    "windows-1256": "73ca4a2c13c4cf8f",
    "windows-1257": "af9b6d30b63714e9",
    "windows-1258": "7aea7df2947cd73b",
    "x-mac-cyrillic": "2ebc771ce9fe6801",
    "iso-8859-8-i": "43bb5c2e874d787c",
    "x-user-defined": "77f90a861b73ffbb",
}
#: The standard's table of labels, without those of `replacement`.
LABELS = """
ibm866: 866 cp866 csibm866 ibm866
windows-1252: ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1
    iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252
iso-8859-6: arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6
    iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987
big5: big5 big5-hkscs cn-big5 csbig5 x-x-big5
gbk: chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk
windows-1250: cp1250 windows-1250 x-cp1250
windows-1251: cp1251 windows-1251 x-cp1251
windows-1253: cp1253 windows-1253 x-cp1253
windows-1254: cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989
    l5 latin5 windows-1254 x-cp1254
windows-1255: cp1255 windows-1255 x-cp1255
windows-1256: cp1256 windows-1256 x-cp1256
windows-1257: cp1257 windows-1257 x-cp1257
windows-1258: cp1258 windows-1258 x-cp1258
euc-kr: cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601
    ksc_5601 windows-949
euc-jp: cseucpkdfmtjapanese euc-jp x-euc-jp
iso-2022-jp: csiso2022jp iso-2022-jp
iso-8859-8: csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8
    iso88598 iso_8859-8 iso_8859-8:1988 visual
iso-8859-8-i: csiso88598i iso-8859-8-i logical
iso-8859-2: csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2
    latin2
iso-8859-3: csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3
    latin3
iso-8859-4: csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4
    latin4
iso-8859-10: csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6
iso-8859-15: csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9
iso-8859-5: csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5
    iso_8859-5:1988
iso-8859-7: csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597
    iso_8859-7 iso_8859-7:1987 sun_eu_greek
koi8-r: cskoi8r koi koi8 koi8-r koi8_r
macintosh: csmacintosh mac macintosh x-mac-roman
shift_jis: csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis
utf-16le: csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le
windows-874: dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874
gb18030: gb18030
iso-8859-13: iso-8859-13 iso8859-13 iso885913
iso-8859-14: iso-8859-14 iso8859-14 iso885914
iso-8859-16: iso-8859-16
koi8-u: koi8-ru koi8-u
utf-8: unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8
utf-16be: unicodefffe utf-16be
x-mac-cyrillic: x-mac-cyrillic x-mac-ukrainian
x-user-defined: x-user-defined
"""
#: Places that Python's codecs fill with a twin of the standard's character.
TWINS = {"big5": (b"\xa2\x41", b"\xa2\x42"), "jis0212": (b"\x8f\xa2\xb7",)}


def places(name: str) -> Iterator[bytes]:
    """The bytes of every place of an index, in order."""
    if name in ("jis0208-euc", "jis0212"):
        before = b"\x8f" * (name == "jis0212")
        for place in range(94 * 94):
            yield before + bytes([place // 94 + 0xA1, place % 94 + 0xA1])
    elif name == "jis0208":
        for place in range(11_280):
            lead, trail = divmod(place, 188)
            yield bytes([lead + (0x81 if lead < 0x1F else 0xC1), trail + (0x40 if trail < 0x3F else 0x41)])
    elif name in ("euc-kr", "big5", "gb18030"):
        length, row, gap = (19_782, 157, 0x62) if name == "big5" else (23_940, 190, 0x41)
        for place in range(length):
            lead, trail = divmod(place, row)
            first = 0x41 if name == "euc-kr" else 0x40
            yield bytes([lead + 0x81, trail + (first if trail < 0x3F else gap)])
    else:
        yield from (bytes([byte]) for byte in range(0x80, 0x100))


ENCODINGS = {"jis0208": "shift_jis", "jis0208-euc": "euc-jp", "jis0212": "euc-jp"}


@pytest.mark.parametrize("name", INDEXES)
def test_every_character_is_the_standards(name: str) -> None:
    encoding = ENCODINGS.get(name, name)
    text = []
    for data in places(name):
        if data in TWINS.get(name, ()):
            continue
        char, _ = decode(data, encoding)
        text.append("\ufffd" if char.startswith("\ufffd") else char)
    assert hashlib.sha256("|".join(text).encode("utf-8", "surrogatepass")).hexdigest()[:16] == INDEXES[name]


def test_every_label_is_the_standards() -> None:
    wanted, name = {}, ""
    for word in LABELS.split():
        if word.endswith(":"):
            name = word[:-1]
        else:
            wanted[word] = name
    assert len(wanted) == 222
    assert {label: encoding_of(f" {label.upper()}\n") for label in wanted} == wanted
    unknown = ("", "utf-7", "none", "utf-8;", "iso-2022-cn", "replacement", "\u212aoi8-r", None)
    assert [encoding_of(label) for label in unknown] == [None] * len(unknown)


@pytest.mark.parametrize("encoding", ["shift_jis", "euc-kr", "gbk", "big5", "euc-jp"])
def test_a_broken_character_takes_no_markup_with_it(encoding: str) -> None:
    lead = b"\xa1" if encoding == "euc-jp" else b"\x81"
    text, errors = decode(lead + b"<b>" + lead + b"\xff<i>" + lead, encoding)
    assert (text, errors) == ("\ufffd<b>\ufffd<i>\ufffd", 3)
