"""The index of evaluation items: their n-grams, sorted, behind a bitmap that rules out nearly all text.

Of each item the 8-grams of its question are indexed; of a question of 3 to 7 tokens the whole of it as one
n-gram. Of a shorter one, or one all of boilerplate, the 8-grams of its answer, and the question has to stand
near it; where the answer has fewer than 8 tokens, the n-grams of both together.
An n-gram that occurs in more than `most_items` items (MMLU's stem phrases) is boilerplate and left out.

In scripts without spaces a token is a character, some 1.6 of which make a word of Chinese: of such items all
lengths are 1.6 times as long.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from werp.decontaminate.items import Item, read_items
from werp.decontaminate.tokens import share_alone, tokenise
from werp.signals.words import native

GRAM = 8
SHORTEST = 3  # tokens of the shortest question that is looked for alone
FEWEST = 5  # tokens of question and answer together, below which an item is not looked for
CHARACTERS = 1.6  # tokens for a word, where characters are tokens
_BITS = 22  # of the bitmap: 4 Mi bits, 512 KiB, for some 0.6 M n-grams

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Index:
    """Items, and where their n-grams stand.

    sought[i], answer[i]: token hashes of what is looked for of item i, and of the answer near it, if any.
    asks[i]: token hashes of the part of the question that asks. unit[i]: tokens for a word.
    count[i]: how many n-grams of item i are indexed. lengths: the n of all n-grams, ascending.
    grams: sorted hashes; owners of gram g are item[first[g]:first[g + 1]], at their token place[...].
    bitmap: bit (hash >> 42) is set for every gram. unsearchable: items too short or all boilerplate, by task.
    """

    items: list[Item]
    sought: list[Hashes]
    answer: list[Hashes]
    asks: list[Hashes]
    unit: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    grams: Hashes
    first: npt.NDArray[np.int64]
    item: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    bitmap: npt.NDArray[np.uint8]
    unsearchable: dict[str, int]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        arrays: list[npt.NDArray[Any]] = [self.grams, self.first, self.item, self.place, self.bitmap]
        return sum(int(a.nbytes) for a in [*arrays, *self.sought, *self.answer, *self.asks])


@native
def gram_hash(hashes: Any, at: Any, n: Any) -> Any:
    """Hash of the n tokens from `at`: their number and order count."""
    h = np.uint64(n)
    for k in range(at, at + n):
        h = (h ^ hashes[k]) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(29)
    return h


@native
def grams_of(hashes: Any, offsets: Any, sizes: Any) -> Any:
    """n-grams of token sequences end to end: (hashes, sequence, place); n is the size, or less."""
    total = 0
    for s in range(len(offsets) - 1):
        total += max(offsets[s + 1] - offsets[s] - sizes[s] + 1, 1 if offsets[s + 1] > offsets[s] else 0)
    out = np.empty(total, np.uint64), np.empty(total, np.int32), np.empty(total, np.int32)
    k = 0
    for s in range(len(offsets) - 1):
        length = offsets[s + 1] - offsets[s]
        if length == 0:
            continue
        n = min(sizes[s], length)
        for p in range(length - n + 1):
            out[0][k], out[1][k], out[2][k] = gram_hash(hashes, offsets[s] + p, n), s, p
            k += 1
    return out


def build(items: Sequence[Item], most_items: int = 5) -> Index:
    """Index items; see the module's text. Deterministic, in the items' order."""
    questions, answers = _sequences([i.question for i in items]), _sequences([i.answer for i in items])
    asks = _sequences([i.asks or i.question for i in items])
    together = [np.concatenate(pair) for pair in zip(questions, answers, strict=True)]
    unit = np.array([CHARACTERS if share_alone(i.question + i.answer) >= 0.5 else 1.0 for i in items])
    sizes = tokens_of(GRAM, unit)
    whole = np.array([len(q) for q in questions]) < tokens_of(SHORTEST, unit)
    searched = [t if w else q for q, t, w in zip(questions, together, whole, strict=True)]
    grams, owner, place = _grams(searched, sizes)
    plain = ~_boilerplate(grams, owner, most_items)
    # Questions with nothing of their own ("Which of the following is true?") are sought with their answer.
    bare = np.bincount(owner[plain], minlength=len(items)) == 0
    whole |= bare
    turned = whole & (np.array([len(a) for a in answers]) >= sizes)
    none: Hashes = np.zeros(0, np.uint64)
    sought, near = [], []
    for question, answer, both, turn, alone in zip(questions, answers, together, turned, ~whole, strict=True):
        sought.append(question if alone else answer if turn else both)
        near.append(answer if alone else question if turn else none)
    grams, owner, place = _grams(sought, sizes)
    enough = np.array([len(t) for t in together]) >= tokens_of(FEWEST, unit)
    plain = ~_boilerplate(grams, owner, most_items) & enough[owner]
    grams, owner, place = grams[plain], owner[plain], place[plain]
    order = np.lexsort((place, owner, grams))
    unique, first = np.unique(grams[order], return_index=True)
    count = np.bincount(owner, minlength=len(items))
    bitmap = np.zeros(1 << (_BITS - 3), np.uint8)
    slots = unique >> np.uint64(64 - _BITS)
    np.bitwise_or.at(
        bitmap,
        (slots >> np.uint64(3)).astype(np.int64),
        np.uint8(1) << (slots & np.uint64(7)).astype(np.uint8),
    )
    lengths = np.unique([min(n, len(s)) for s, c, n in zip(sought, count, sizes, strict=True) if c])
    return Index(
        list(items), sought, near, [none if w else a for a, w in zip(asks, whole, strict=True)], unit, count,
        lengths.astype(np.int64), unique, np.append(first, len(order)).astype(np.int64), owner[order],
        place[order], bitmap,
        dict(Counter(i.task for i, c in zip(items, count, strict=True) if not c)),
    )  # fmt: skip


@functools.lru_cache(maxsize=2)
def index_of(folder: str, most_items: int) -> Index:
    """The index of a folder of benchmarks, built once a process (about two seconds for the nine)."""
    return build(read_items(Path(folder)), most_items)


def _sequences(texts: Sequence[str]) -> list[Hashes]:
    hashes, _, _, offsets = tokenise(texts)
    return [hashes[a:b] for a, b in pairwise(offsets)]


def tokens_of(words: int, unit: Any) -> Any:
    """How many tokens so many words are, for an item or for each of several."""
    return np.round(words * np.asarray(unit)).astype(np.int64)


def _grams(
    sequences: Sequence[Hashes], sizes: npt.NDArray[np.int64]
) -> tuple[Hashes, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in sequences])]).astype(np.int64)
    return grams_of(np.concatenate(sequences), offsets, sizes)  # type: ignore[no-any-return]


def _boilerplate(grams: Hashes, owner: npt.NDArray[np.int32], most_items: int) -> npt.NDArray[np.bool_]:
    """Which n-grams occur in more than `most_items` items; twice in one item counts once."""
    order = np.lexsort((owner, grams))
    gram, own = grams[order], owner[order]
    new = np.ones(len(gram), bool)
    new[1:] = (gram[1:] != gram[:-1]) | (own[1:] != own[:-1])
    starts = np.ones(len(gram), bool)
    starts[1:] = gram[1:] != gram[:-1]
    group = np.cumsum(starts) - 1
    many = np.bincount(group, weights=new) > most_items
    out = np.zeros(len(gram), bool)
    out[order] = many[group]
    return out
