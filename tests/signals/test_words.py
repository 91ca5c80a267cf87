from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings

from tests.signals.signal_texts import MADE_TEXT, ODD_TEXTS, batch_of, emptied
from werp.signals import characters as ch
from werp.signals.batch import TextBatch
from werp.signals.words import HAS_ALPHA, HAS_TEXT, STARTS_ALNUM, hash_words

GOLDEN = {
    "": "",
    "Hello, world!": "Hello | , | world | !",
    "“Hi,” she said.": "“ | Hi | , | ” | she | said | .",
    "(see [1])": "( | see | [ | 1 | ] | )",
    "don't I'm we’ll they've he'd": "do | n't | I | 'm | we | ’ll | they | 've | he | 'd",
    "the dog's bone, ROCK'S": "the | dog | 's | bone | , | ROCK | 'S",
    "cannot dont Gonna its well": "can | not | do | nt | Gon | na | its | well",
    "rock'n'roll O'Neil": "rock'n'roll | O'Neil",
    "Mr. Smith went to St. Ives.": "Mr. | Smith | went | to | St. | Ives | .",
    "e.g. the U.S. and NATO. J. Doe": "e.g. | the | U.S. | and | NATO | . | J. | Doe",
    "wait...what? Hm… yes....": "wait | ... | what | ? | Hm | … | yes | ....",
    "end.Next but end.next": "end | . | Next | but | end.next",
    "well-known 2019-20 -flag word- a--b": "well | - | known | 2019 | - | 20 | -flag | word- | a | -- | b",
    "and/or foo/bar 1/2 a,b 1,000": "and/or | foo | / | bar | 1/2 | a | , | b | 1,000",
    "$5.00 20€ 10km 5% 8am 8:00am C++ 100+ +1": "$ | 5.00 | 20 | € | 10 | km | 5 | % | 8 | am | 8:00am | "
    "C++ | 100 | + | +1",
    "http://x.org/a-b?c=d, www.x.org a.b@x.com.": "http://x.org/a-b?c=d | , | www.x.org | a.b@x.com | .",
    "#tag @me _x_ *b* • item •item": "# | tag | @me | _ | x | _ | * | b | * | • | item | •item",
    "漢字です。次 中,文": "漢字です。次 | 中 | , | 文",
    "🎉🎉go🎉 ©2020": "🎉 | 🎉 | go | 🎉 | © | 2020",
    "e\u0301te\u0301 नमस्ते": "e\u0301te\u0301 | नमस्ते",
    "a\u00a0b\u2003c\u200bd": "a | b | c\u200bd",
}


@pytest.mark.parametrize("text", GOLDEN)
def test_golden_splits(text: str) -> None:
    assert " | ".join(batch_of([text]).words(0)) == GOLDEN[text]


def check_split(texts: list[str]) -> None:
    """Nothing but whitespace is lost; every array agrees with the strings it stands for."""
    batch = batch_of(texts)
    split = batch.split
    assert split.word_offsets[-1] == len(split.word_start) == len(split.word_hash) == len(split.word_bits)
    for t, text in enumerate(texts):
        words = batch.words(t)
        assert "".join(words) == "".join(text.split())
        assert all(words)
        rows = slice(split.word_offsets[t], split.word_offsets[t + 1])
        assert split.word_hash[rows].tolist() == hash_words(words).tolist()
        bits = split.word_bits[rows]
        assert ((bits & HAS_ALPHA) != 0).tolist() == [any(map(str.isalpha, w)) for w in words]
        assert ((bits & STARTS_ALNUM) != 0).tolist() == [w[0].isalnum() for w in words]
        begin = split.text_offsets[t]
        for starts, ends, offsets, expected in (
            (split.line_start, split.line_end, split.line_offsets, text.split("\n")),
            (split.paragraph_start, split.paragraph_end, split.paragraph_offsets, paragraphs(text)),
        ):
            span = slice(offsets[t], offsets[t + 1])
            pairs = zip(starts[span] - begin, ends[span] - begin, strict=True)
            assert [text[a:b] for a, b in pairs] == expected


def paragraphs(text: str) -> list[str]:
    joined: list[list[str]] = [[]]
    for line in emptied(text).split("\n"):
        if line:
            joined[-1].append(line)
        else:
            joined.append([])
    return ["\n".join(lines) for lines in joined if lines]


def test_lines_that_show_nothing_are_blank() -> None:
    shown = "a\n\u200b\nb\n\u00a0\t\nc\n\u2060\ufeff\u00ad\nd\n\U000e0041\ne\n.\nf\n\U000f0000"
    assert paragraphs(shown) == ["a", "b", "c", "d", "e\n.\nf\n\U000f0000"]
    check_split([shown])


def test_odd_texts_split() -> None:
    check_split(ODD_TEXTS)
    check_split([])


def test_real_texts_split(real_texts: list[str]) -> None:
    check_split(real_texts)


@settings(deadline=None, max_examples=300)
@given(MADE_TEXT)
def test_made_texts_split(text: str) -> None:
    check_split([text, "", text + "x", text])


def test_a_text_splits_alike_alone_and_in_any_batch(real_texts: list[str]) -> None:
    texts = ODD_TEXTS + real_texts[::7]
    together = batch_of(texts)
    backwards = batch_of(texts[::-1])
    for t, text in enumerate(texts):
        alone = batch_of([text]).words(0)
        assert together.words(t) == alone
        assert backwards.words(len(texts) - 1 - t) == alone


def test_hashes_tell_real_words_apart(real_texts: list[str]) -> None:
    batch = batch_of(real_texts)
    words = {word for t in range(len(real_texts)) for word in batch.words(t)}
    assert len(words) > 20_000
    assert len(np.unique(batch.split.word_hash)) == len(words)


def test_pure_punctuation() -> None:
    batch = batch_of(["... — “ - # , ) a• • ‘ don’t 1 🎉"])
    marked = zip(batch.words(0), batch.split.word_bits & HAS_TEXT != 0, strict=True)
    assert [w for w, text in marked if not text] == ["...", "—", "“", "-", "#", ",", ")"]


def test_nothing_of_interest_lies_beyond_the_table() -> None:
    beyond = "".join(map(chr, range(ch.TABLE_SIZE, sys.maxunicode + 1)))
    assert not any(map(str.isspace, beyond))
    assert not any(map(str.isalnum, beyond))


def test_table_agrees_with_str() -> None:
    table = ch.character_table()
    for bit, test in ((ch.SPACE, str.isspace), (ch.ALPHA, str.isalpha), (ch.ALNUM, str.isalnum)):
        assert ((table & bit) != 0).tolist() == [test(chr(c)) for c in range(ch.TABLE_SIZE)]


@pytest.mark.parametrize("piece", ["a", ".", ")", "a b ", "\n", " ", "a.b@", "don't ", "𝒳"])
def test_five_megabytes_of_one_thing(piece: str) -> None:
    text = piece * (5_000_000 // len(piece))
    batch = batch_of([text])
    assert batch.split.text_offsets.tolist() == [0, len(text)]
    assert int((batch.split.word_end - batch.split.word_start).sum()) == sum(map(len, text.split()))


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        TextBatch(["a"], [], ["x"])
