"""`words.v1`: how a text is cut into words and lines, once, for every rule.

Words
-----
1. Whitespace (`str.isspace`) cuts the text into chunks and belongs to no word. A chunk of letters and
   combining marks alone, or of the digits 0-9 alone, is one word (but for rule 6). Chunks of scripts without
   spaces (Chinese, Thai, ...) are cut by `werp.signals.segment`, unless the recipe's `segmenter` is null.
2. From the front of a chunk, one after the other, come off: a punctuation mark or quote, an icon, a currency
   sign, `% = §`, `+` not before a digit, a run of two or more full stops.
3. From its end come off: a punctuation mark or quote, an icon, a run of two or more full stops; `'s`; a
   currency sign, a plus or a unit of measure (`km`, `%`) after a digit, `am` and `pm` after a bare hour; one
   full stop after a lower-case letter, a digit, a mark, or two capitals (so `J.` and `U.S.` keep theirs).
   A hyphen, a slash, `|`, `@`, `~` and `•` do not come off an end.
4. What remains is one word when it reads as an address: `scheme://`, `name@`, labels joined by dots with a
   lower-case last label, port and path optional.
5. Otherwise it is cut, the cutting marks being words of their own: at two or more full stops, `…`, an icon;
   at a full stop between lower and upper case; at a comma between letters; at `- – — ~ : < > = /` between a
   letter or digit and a letter; at `+ - * ^` between digits.
6. Contractions part: `do|n't`, `I|'m`, `we|'ll`, and without apostrophe `can|not`, `do|nt`. Listed
   abbreviations (`Mr.`, `e.g.`, `a.m.`) keep their full stop.

The aim is the stream of spaCy's blank English tokenizer, on which datatrove counts Gopher's rules; its
emoticons and a few rare forms are left out. `python -m werp.signals.bench` measures the decisions.

Lines
-----
A line is what stands between two `\\n` (as `str.split("\\n")`; an empty text has one empty line). A line of
white space and invisible characters alone is blank: nobody sees it, so that it counts for an empty one. A
paragraph is a run of lines that are not blank (as splitting at two or more `\\n` when blank lines are empty).

numba's cache follows this file alone: after a change of the bits in `characters.py`, touch this file too.
Every function here is native (numba) and works on code points of a whole batch, end to end in one array.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from werp.signals import characters as ch

WORDS_VERSION = "words.v1"

HAS_ALPHA = 1  # bits of a word: it holds a letter
HAS_TEXT = 2  # it holds something beside punctuation
STARTS_ALNUM = 4  # its first character is a letter or digit

_SEED = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_HIGH = np.uint64(32)
_FREE = np.uint64(0)
_ONE = np.uint64(1)
_LONGEST_FORM = 8  # characters of the longest listed form

_STOP, _ELLIPSIS, _COMMA, _PLUS, _COLON, _AT, _SLASH, _UNDERLINE = map(ord, ".…,+:@/_")
_APOSTROPHES = (ord("'"), ord("’"))
_HYPHEN, _EM_DASH = ord("-"), ord("—")
_DASHES = (_HYPHEN, ord("–"), _EM_DASH, ord("~"))
_JOINTS = (_COLON, ord("<"), ord(">"), ord("="), _SLASH)
_OPERATORS = (_PLUS, _HYPHEN, ord("*"), ord("^"))
_BEFORE_STOP = (ord("%"), _PLUS, _HYPHEN, ord("²"))
_AFTER_HOST = (_SLASH, ord("?"), ord("#"), _COLON)
_A, _D, _E, _L, _M, _N, _P, _R, _S, _T, _V, _CAPITAL_S = map(ord, "adelmnprstvS")


def native(function: Any) -> Any:
    """Compile with numba, kept on disk between runs, without the interpreter lock."""
    return numba.njit(cache=True, nogil=True)(function)


@native
def is_blank(codes: Any, a: Any, b: Any, table: Any) -> Any:
    """Whether [a, b) holds nothing but white space and invisible characters."""
    for i in range(a, b):
        c = codes[i]
        if c < ch.TABLE_SIZE:
            if not table[c] & (ch.SPACE | ch.INVISIBLE):
                return False
        elif not ch.FIRST_TAG <= c <= ch.LAST_TAG:
            return False
    return True


@native
def _bits(codes: Any, i: int, table: Any) -> Any:
    c = codes[i]
    return np.int64(table[c]) if c < ch.TABLE_SIZE else np.int64(0)


@native
def _hash(codes: Any, a: int, b: int) -> Any:
    h = _SEED
    for i in range(a, b):
        h = (h ^ np.uint64(codes[i])) * _PRIME
    return h ^ (h >> _HIGH)


@native
def _run(codes: Any, i: int, b: int) -> Any:
    """How often the character at i stands in a row before b."""
    n = 1
    while i + n < b and codes[i + n] == codes[i]:
        n += 1
    return n


@native
def _listed(h: Any, forms: Any, parts: Any) -> Any:
    """After how many characters the listed form with hash h parts (0: not at all); -1 if it is not listed."""
    slot = h & np.uint64(len(forms) - 1)
    while forms[slot] != h:
        if forms[slot] == _FREE:
            return np.int64(-1)
        slot = (slot + _ONE) & np.uint64(len(forms) - 1)
    return np.int64(parts[slot])


@native
def _form(codes: Any, a: int, b: int, lists: Any) -> Any:
    return _listed(_hash(codes, a, b), lists[0], lists[1]) if b - a <= _LONGEST_FORM else np.int64(-1)


@native
def _front(codes: Any, a: int, b: int, table: Any) -> Any:
    """Length of the mark that comes off the front of [a, b), 0 for none."""
    c = codes[a]
    if c == _STOP:
        run = _run(codes, a, b)
        return run if run > 1 else 0
    if c == _PLUS and a + 1 < b and _bits(codes, a + 1, table) & ch.DIGIT:
        return 0
    return 1 if _bits(codes, a, table) & (ch.EDGE | ch.FRONT | ch.ICON | ch.CURRENCY) else 0


@native
def _unit(codes: Any, a: int, b: int, table: Any, units: Any) -> Any:
    """Length of a unit of measure that follows a digit at the end of [a, b), 0 for none."""
    value, length = np.int64(0), 0
    while length < 4 and not _bits(codes, b - 1 - length, table) & ch.DIGIT:
        value |= np.int64(codes[b - 1 - length] & 0xFFFF) << np.int64(16 * length)
        length += 1
        if b - length <= a:
            return 0
    if length == 0 or not _bits(codes, b - 1 - length, table) & ch.DIGIT:
        return 0
    if length == 2 and codes[b - 1] == _M and codes[b - 2] in (_A, _P):  # 8am, 12pm, but not 8:00am
        return 2 if b - a <= 4 and _bits(codes, a, table) & ch.DIGIT else 0
    for unit in units:
        if unit == value:
            return length
    return 0


@native
def _stops_off(codes: Any, a: int, b: int, table: Any) -> Any:
    """How many full stops come off [a, b), which ends in one."""
    run = 1
    while b - run > a and codes[b - run - 1] == _STOP:
        run += 1
    if run > 1:
        return run
    if b - a < 2:
        return 0
    before = _bits(codes, b - 2, table)
    if before & (ch.LOWER | ch.DIGIT | ch.EDGE) or codes[b - 2] in _BEFORE_STOP:
        return 1
    return 1 if before & ch.UPPER and b - a > 2 and _bits(codes, b - 3, table) & ch.UPPER else 0


@native
def _back(codes: Any, a: int, b: int, table: Any, units: Any) -> Any:
    """Length of what comes off the end of [a, b), 0 for none."""
    c, own = codes[b - 1], _bits(codes, b - 1, table)
    if c == _STOP:
        return _stops_off(codes, a, b, table)
    if own & (ch.EDGE | ch.ICON):
        return 1
    if b - a < 2:
        return 0
    if c in (_S, _CAPITAL_S) and codes[b - 2] in _APOSTROPHES:
        return 2
    if c == _PLUS or own & ch.CURRENCY:
        return 1 if _bits(codes, b - 2, table) & ch.DIGIT else 0
    return _unit(codes, a, b, table, units)


@native
def _is_host(codes: Any, a: int, b: int, table: Any) -> Any:
    """Whether [a, b) is labels joined by dots, the last in lower case, then a port, a path or nothing."""
    i, label, dots, lower = a, 0, 0, True
    while i < b and codes[i] not in _AFTER_HOST:
        c, own = codes[i], _bits(codes, i, table)
        if c == _STOP:
            if label == 0 or codes[i - 1] in (_HYPHEN, _UNDERLINE):
                return False
            dots, label, lower = dots + 1, 0, True
        elif own & (ch.ALPHA | ch.DIGIT) or c >= 0xA1 or (label > 0 and c in (_HYPHEN, _UNDERLINE)):
            label += 1
            lower = lower and own & ch.LOWER != 0
        else:
            return False
        i += 1
    if dots == 0 or label < 2 or not lower:
        return False
    if i == b or codes[i] != _COLON:
        return True
    return i + 2 < b and _bits(codes, i + 1, table) & _bits(codes, i + 2, table) & ch.DIGIT != 0


@native
def _is_address(codes: Any, a: int, b: int, table: Any) -> Any:
    """Whether [a, b) reads as a URL, a host name or an e-mail address."""
    dots, at, first = 0, -1, a
    for i in range(a, b):
        c = codes[i]
        if c == _STOP:
            dots += 1
        elif c == _AT:
            at = i
        elif (
            c == _COLON
            and first == a
            and a + 2 <= i < b - 2
            and codes[i + 1] == _SLASH
            and codes[i + 2] == _SLASH
        ):
            first = i + 3
    if dots == 0:
        return False
    return _is_host(codes, first, b, table) or (at > a and _is_host(codes, at + 1, b, table))


@native
def _cut(codes: Any, i: int, a: int, b: int, table: Any) -> Any:
    """Length of the mark at i that cuts [a, b) inside, 0 for none."""
    c, own = codes[i], _bits(codes, i, table)
    if own & ch.ICON or c == _ELLIPSIS:
        return 1
    if own & (ch.ALPHA | ch.DIGIT):
        return 0
    run = _run(codes, i, b)
    if c == _STOP and run > 1:
        return run
    if i == a or i + 1 >= b:
        return 0
    before, after = _bits(codes, i - 1, table), _bits(codes, i + 1, table)
    cuts = False
    if c == _STOP:
        cuts = before & (ch.LOWER | ch.QUOTE) != 0 and after & (ch.UPPER | ch.QUOTE) != 0
    elif c == _COMMA:
        cuts = before & after & ch.ALPHA != 0
    elif c in _JOINTS:
        cuts = before & (ch.ALPHA | ch.DIGIT) != 0 and after & ch.ALPHA != 0
    elif c in _OPERATORS and before & ch.DIGIT:
        cuts = after & ch.DIGIT != 0 or codes[i + 1] == _HYPHEN
    if not cuts and c in _DASHES and before & (ch.ALPHA | ch.DIGIT):
        most = 3 if c == _HYPHEN else (2 if c == _EM_DASH else 1)
        return run if run <= most and i + run < b and _bits(codes, i + run, table) & ch.ALPHA else 0
    return 1 if cuts else 0


@native
def _contraction(codes: Any, a: int, b: int, table: Any) -> Any:
    """Length of the ending `n't`, `'d`, `'m`, `'ll`, `'ve` or `'re` of the letters [a, b), 0 for none."""
    length = 0
    if b - a > 2 and codes[b - 2] in _APOSTROPHES:
        if codes[b - 1] in (_D, _M):
            length = 2
        elif codes[b - 1] == _T and codes[b - 3] == _N:
            length = 3
    elif b - a > 3 and codes[b - 3] in _APOSTROPHES:
        ll = codes[b - 2] == _L and codes[b - 1] == _L
        length = 3 if ll or (codes[b - 2] in (_V, _R) and codes[b - 1] == _E) else 0
    for i in range(a, b - length if length else a):
        if not _bits(codes, i, table) & ch.ALPHA:
            return 0
    return length if length < b - a else 0


@native
def _emit(codes: Any, a: int, b: int, table: Any, out: Any, n: int) -> Any:
    """Write the word [a, b) as number n; returns n + 1."""
    starts, ends, hashes, bits = out
    h, some, every = _SEED, np.int64(0), np.int64(-1)
    for i in range(a, b):
        h = (h ^ np.uint64(codes[i])) * _PRIME
        own = _bits(codes, i, table)
        some |= own
        every &= own
    starts[n], ends[n], hashes[n] = a, b, h ^ (h >> _HIGH)
    bits[n] = (
        (HAS_ALPHA if some & ch.ALPHA else 0)
        | (0 if every & ch.SYMBOL else HAS_TEXT)
        | (STARTS_ALNUM if _bits(codes, a, table) & ch.ALNUM else 0)
    )
    return n + 1


@native
def _middle(codes: Any, a: int, b: int, table: Any, lists: Any, out: Any, n: int) -> Any:
    """Words of a chunk whose ends are bare."""
    part = _form(codes, a, b, lists)
    if part < 0:
        plain = np.int64(-1)
        for i in range(a, b):
            plain &= _bits(codes, i, table)
        if plain & (ch.ALPHA | ch.DIGIT) or _is_address(codes, a, b, table):
            part = 0
        else:
            tail = _contraction(codes, a, b, table)
            part = b - a - tail if tail else -1
    if part >= 0:
        if part > 0:
            n = _emit(codes, a, a + part, table, out, n)
        return _emit(codes, a + part, b, table, out, n)
    word, i = a, a
    while i < b:
        length = _cut(codes, i, a, b, table)
        if length and i > word:
            n = _emit(codes, word, i, table, out, n)
            n = _emit(codes, i, i + length, table, out, n)
            word = i + length
        i += max(length, 1)
    return _emit(codes, word, b, table, out, n) if word < b else n


@native
def _chunk(codes: Any, a: int, b: int, table: Any, lists: Any, stack: Any, out: Any, n: int) -> Any:
    """Words of the chunk [a, b): its ends come off mark by mark, then the middle is cut."""
    depth = 0
    while a < b:
        if codes[b - 1] == _STOP and _form(codes, a, b, lists) >= 0:
            break
        front = _front(codes, a, b, table)
        if front:
            n = _emit(codes, a, a + front, table, out, n)
            a += front
            if a == b or (codes[b - 1] == _STOP and _form(codes, a, b, lists) >= 0):
                break
        back = _back(codes, a, b, table, lists[2])
        if back:
            stack[depth] = b
            depth += 1
            b -= back
        if not front and not back:
            break
    if a < b:
        n = _middle(codes, a, b, table, lists, out, n)
    while depth:
        depth -= 1
        n = _emit(codes, b, stack[depth], table, out, n)
        b = stack[depth]
    return n


@native
def _words_of(codes: Any, a: int, b: int, table: Any, lists: Any, stack: Any, out: Any, n: int) -> Any:
    """Words of the text [a, b); chunks of letters or digits alone, four of five, are written here at once."""
    starts, ends, hashes, bits = out
    i = a
    while i < b:
        own = _bits(codes, i, table)
        if own & ch.SPACE:
            i += 1
            continue
        first, h, some, every = i, _SEED, np.int64(0), np.int64(-1)
        while not own & ch.SPACE:
            h = (h ^ np.uint64(codes[i])) * _PRIME
            some |= own
            every &= own | (ch.ALPHA if own & ch.MARK else 0)
            i += 1
            if i == b:
                break
            own = _bits(codes, i, table)
        h ^= h >> _HIGH
        if not every & (ch.ALPHA | ch.DIGIT) or not some & (ch.ALPHA | ch.DIGIT):
            n = _chunk(codes, first, i, table, lists, stack, out, n)
        elif i - first <= _LONGEST_FORM and _listed(h, lists[0], lists[1]) >= 0:
            n = _middle(codes, first, i, table, lists, out, n)
        else:
            starts[n], ends[n], hashes[n] = first, i, h
            alnum = STARTS_ALNUM if _bits(codes, first, table) & ch.ALNUM else 0
            bits[n] = HAS_TEXT | alnum | (HAS_ALPHA if some & ch.ALPHA else 0)
            n += 1
    return n


@native
def _grown(out: Any, size: int) -> Any:
    larger = _columns(size)
    for k in range(len(out[0])):
        larger[0][k], larger[1][k], larger[2][k], larger[3][k] = out[0][k], out[1][k], out[2][k], out[3][k]
    return larger


@native
def _columns(size: int) -> Any:
    starts, ends = np.empty(size, np.int32), np.empty(size, np.int32)
    return starts, ends, np.empty(size, np.uint64), np.empty(size, np.uint8)


@native
def split_words(codes: Any, text_offsets: Any, table: Any, lists: Any) -> Any:
    """Words of all texts: (starts, ends: int32, hashes: uint64, bits: uint8, first word of each text: int64).

    codes: the texts end to end, into which starts and ends point.
    table: `character_table()`; lists: `word_lists()`.
    """
    texts, longest = len(text_offsets) - 1, 0
    for t in range(texts):
        longest = max(longest, text_offsets[t + 1] - text_offsets[t])
    out = _columns(len(codes) // 4 + longest + 1)
    stack = np.empty(longest + 1, np.int32)
    word_offsets = np.zeros(texts + 1, np.int64)
    n = np.int64(0)
    for t in range(texts):
        a, b = text_offsets[t], text_offsets[t + 1]
        if n + (b - a) > len(out[0]):
            out = _grown(out, 2 * len(out[0]) + (b - a))
        n = _words_of(codes, a, b, table, lists, stack, out, n)
        word_offsets[t + 1] = n
    return out[0][:n].copy(), out[1][:n].copy(), out[2][:n].copy(), out[3][:n].copy(), word_offsets


@native
def hash_spans(codes: Any, starts: Any, ends: Any) -> Any:
    """64-bit hashes of spans of code points (FNV-1a over code points, upper half folded in)."""
    out = np.empty(len(starts), np.uint64)
    for k in range(len(starts)):
        out[k] = _hash(codes, starts[k], ends[k])
    return out


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """Code points of a text; lone surrogates are kept as they are."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def hash_words(words: list[str]) -> npt.NDArray[np.uint64]:
    """Hashes of words as `split_words` gives them."""
    ends = np.cumsum([len(w) for w in words], dtype=np.int64)
    starts = ends - np.array([len(w) for w in words], np.int64)
    hashed: npt.NDArray[np.uint64] = hash_spans(code_points("".join(words)), starts, ends)
    return hashed
