"""Text to tokens, each piece of text encoded once.

A request's tokens are those of context and continuation encoded *together*, cut after as many as the context
has alone. Doing that for every request would encode a five-shot prompt four or five times an item. Most
tokenizers split text at blanks before their model sees it, so that a text may be cut before a blank and its
parts encoded apart: then demonstrations, item and choices are each encoded once. `splits_at_blanks` finds out
whether a tokenizer is of that kind; one that is not gets every request whole. So a request's tokens depend on
the request and the tokenizer, on no request before it.
"""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tokenizers import Tokenizer

Encode = Callable[[Sequence[str]], list[list[int]]]
#: A text is cut before a blank that stands alone between two of these.
PRINTABLE = frozenset(map(chr, range(33, 127)))
CUTS = re.compile("(?<=[!-~])(?= [!-~])")
#: An added token that holds a blank (or its sign) behind something else.
REACHES_OVER = re.compile(r"\S[\s▁]")
#: Pieces of text, besides printable ASCII, that a tokenizer is tried on.
ODD = ("é", "ß", "e\u0301", "好你", "🙂", "\u00a0", "\u200b", "½", "ﬁ", "’s", "…", "Й", "ا", "▁", "Ġ", "İ")
GAPS = (" ", " ", " ", " ", " ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", " \n", "")


@dataclass
class Encoder:
    """Encodes pieces and joins them.

    cuts: whether texts may be cut before blanks, see `splits_at_blanks`.
    """

    encode: Encode
    cuts: bool = False
    _known: dict[str, list[int]] = field(default_factory=lambda: {"": []})

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text; equal texts are encoded once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self.encode(new), strict=True))
        return [self._known[text] for text in texts]

    def join(self, triples: Sequence[tuple[str, str, str]]) -> list[tuple[list[int], int]]:
        """For each (stem, item, tail) the tokens of the whole, and how many come before the tail's.

        A tail that begins inside a token has that token: it gets all from the number of tokens on that the
        context has alone, the last one at least. A tail that makes no token has none.
        """
        if not self.cuts:
            contexts = [stem + item for stem, item, _ in triples]
            alone = dict.fromkeys(contexts)
            heads = dict(zip(alone, self.encode(list(alone)), strict=True))
            wholes = self.encode(["".join(triple) for triple in triples])
            return [(w, begin_of(heads[c], w)) for c, w in zip(contexts, wholes, strict=True)]
        stems = {stem: halves(stem) for stem in dict.fromkeys(stem for stem, _, _ in triples)}
        parts = [cut(*stems[stem], item, tail) for stem, item, tail in triples]
        self.pieces([first for first, _ in stems.values()])
        self.pieces([text for _, second, rest, tail in parts for text in (second, rest, rest + tail)])
        known = self._known
        joined = []
        for first, second, rest, tail in parts:
            before = known[first] + known[second]
            whole = before + known[rest + tail]
            joined.append((whole, begin_of(before + known[rest], whole) if rest else len(before)))
        return joined


def begin_of(head: Sequence[int], whole: Sequence[int]) -> int:
    """Where a continuation's tokens begin in those of the whole, the context's alone being `head`."""
    return len(whole) if whole == head else min(len(head), len(whole) - 1)


def halves(text: str) -> tuple[str, str]:
    """A text cut at the last place where it may be cut."""
    at = last_cut(text)
    return text[:at], text[at:]


def cut(first: str, stem: str, item: str, tail: str) -> tuple[str, str, str, str]:
    """A text in parts that may be encoded apart, but for the last two; the context is all but the last.

    first, stem: `halves` of what comes before item and tail.
    """
    second = stem + item
    if second[-1:] in PRINTABLE and tail[:1] == " " and tail[1:2] in PRINTABLE:
        return first, second, "", tail
    return first, *halves(second), tail


def last_cut(text: str) -> int:
    """The last blank before which a text may be cut; 0 where there is none."""
    at = text.rfind(" ", 1, len(text) - 1)
    while at > 0 and not (text[at - 1] in PRINTABLE and text[at + 1] in PRINTABLE):
        at = text.rfind(" ", 1, at)
    return max(at, 0)


def splits_at_blanks(tokenizer: Tokenizer) -> bool:
    """Whether a text's tokens are those of its parts, wherever it is cut before a blank as `last_cut` cuts.

    They are where normalizer and pre-tokenizer give the parts' pieces, for a model sees one piece at a time.
    That is tried on 5,000 made-up words. A tokenizer without a pre-tokenizer is of another kind, and so is
    one with an added token that reaches over a blank or takes the one behind it.
    """
    added = json.loads(tokenizer.to_str())["added_tokens"]
    found = [token for token in added if not (token["special"] and tokenizer.encode_special_tokens)]
    if tokenizer.pre_tokenizer is None or any(
        token["rstrip"] or REACHES_OVER.search(token["content"]) for token in found
    ):
        return False
    text = made_up(5_000)
    return [piece for part in CUTS.split(text) for piece in split(tokenizer, part)] == split(tokenizer, text)


def split(tokenizer: Tokenizer, text: str) -> list[str]:
    """What the model is given of a text, piece by piece."""
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    return [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def made_up(count: int) -> str:
    """So many words of every kind with gaps of every kind between them, always the same."""
    draw = random.Random(0)

    def some(characters: str, most: int) -> str:
        return "".join(draw.choices(characters, k=draw.randint(1, most)))

    lower, digits, signs = string.ascii_lowercase, string.digits, string.punctuation
    kinds: list[Callable[[], str]] = [
        lambda: some(lower, 9),
        lambda: some(lower, 9).capitalize() + draw.choice(("", "'s", "'ll", ",", ".", "?", ":")),
        lambda: some(string.ascii_uppercase, 6),
        lambda: some(digits, 9),
        lambda: some(signs, 4),
        lambda: some(lower + digits + signs, 12),
        lambda: some(lower, 3) + draw.choice(ODD) + some(lower, 3),
    ]
    return "".join(draw.choice(kinds)() + draw.choice(GAPS) for _ in range(count))
