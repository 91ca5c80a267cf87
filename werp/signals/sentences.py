"""Sentences of a batch, counted a line at a time as spaCy's sentencizer counts them, which datatrove uses.

A sentence ends where a word that is one of the sentence marks has been seen and a word that is no punctuation
follows. Words are those of the batch's split, so `Mr.` and `3.5` end nothing. A mark beyond ASCII (Ethiopic,
Armenian) also ends a sentence at the end of a word, from which spaCy's English rules do not take it.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from werp.signals.split import Split
from werp.signals.words import native

#: Code points with Unicode's property Sentence_Terminal that spaCy 3.8 takes as the end of a sentence, and
#: the marks of Khmer and Tibetan, which it does not know.
_MARKS = (
    "!.?։؟۔܀܁܂߹।॥၊။።፧፨᙮᜵᜶᠃᠉᥄᥅᪨᪩᪪᪫᭚᭛᭞᭟᰻᰼᱾᱿‼‽⁇⁈⁉⸮⸼꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫﹒﹖﹗！．？"
    "\U00010a56\U00010a57\U00011047\U00011048\U000110be\U000110bf\U000110c0\U000110c1\U00011141\U00011142"
    "\U00011143\U000111c5\U000111c6\U000111cd\U000111de\U000111df｡。។៕།༎༏༐༑༒"
)
_PUNCTUATION, _MARK = 1, 2
_TABLE_SIZE = 0x11200


@cache
def _table() -> npt.NDArray[np.uint8]:
    """Bits of every code point below `_TABLE_SIZE`: punctuation (general category P), a sentence mark."""
    table = np.zeros(_TABLE_SIZE, np.uint8)
    table[[unicodedata.category(chr(c))[0] == "P" for c in range(_TABLE_SIZE)]] |= _PUNCTUATION
    table[[ord(c) for c in _MARKS]] |= _MARK
    return table


def sentence_counts(split: Split) -> npt.NDArray[np.int64]:
    """Sentences of each text, int64."""
    counts: npt.NDArray[np.int64] = _count(
        split.codes, split.word_start, split.word_end, split.word_offsets, split.line_end,
        split.line_offsets, _table(),
    )  # fmt: skip
    return counts


@native
def _count(
    codes: Any, starts: Any, ends: Any, word_offsets: Any, line_end: Any, line_offsets: Any, table: Any
) -> Any:
    texts = len(word_offsets) - 1
    counts = np.zeros(texts, np.int64)
    for t in range(texts):
        line = line_offsets[t]
        seen, begun = False, False
        for w in range(word_offsets[t], word_offsets[t + 1]):
            while starts[w] >= line_end[line] and line + 1 < line_offsets[t + 1]:
                line += 1
                seen, begun = False, False
            if not begun:
                counts[t] += 1
                begun = True
            first = codes[starts[w]]
            mark = ends[w] - starts[w] == 1 and first < _TABLE_SIZE and table[first] & _MARK != 0
            punctuation = True
            for i in range(starts[w], ends[w]):
                c = codes[i]
                punctuation = punctuation and c < _TABLE_SIZE and table[c] & _PUNCTUATION != 0
            if seen and not punctuation and not mark:
                counts[t] += 1
                seen = False
            last = codes[ends[w] - 1]
            if mark or (0x80 <= last < _TABLE_SIZE and table[last] & _MARK != 0):
                seen = True
    return counts
