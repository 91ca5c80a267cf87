"""Evaluation items in texts: n-grams of the question, the share of it that is there, the gold answer near it.

A native scan looks every n-gram of a text up; what it finds, rarely anything, is judged here:

- `13-gram`: 13 tokens or more of the question in a row (GPT-3's length, Brown et al. 2020);
- `8-gram`: at least half of its 8-grams close together (in the manner of PaLM, Chowdhery et al. 2022);
- `short`: of a question of fewer than 13 tokens, at least half of its n-grams.

Each asks for the gold answer too: half of its tokens in a row (at most 8), within `near` tokens of the
question; 20 for short ones. Text that quotes the same source as a question, without its answer, is no hit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from werp.decontaminate.index import GRAM, Index, gram_hash
from werp.decontaminate.tokens import tokenise
from werp.signals.words import native

LONG = 13
_NEAR_SHORT = 20
_SLACK = 20  # tokens that an edited copy may be longer than the item


class Hit(NamedTuple):
    """An item found in a text: characters [start, end) of question and answer, and by which rule."""

    task: str
    item: str
    rule: str
    start: int
    end: int


@native
def _scan(hashes: Any, offsets: Any, lengths: Any, grams: Any, bitmap: Any) -> Any:
    """(token, text, gram number) of every n-gram of the texts that the index holds."""
    size, n = 1024, 0
    token, text, found = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    for t in range(len(offsets) - 1):
        for i in range(offsets[t], offsets[t + 1]):
            for length in lengths:
                if i + length > offsets[t + 1]:
                    break
                h = gram_hash(hashes, i, length)
                slot = h >> np.uint64(42)
                if not (bitmap[np.int64(slot >> np.uint64(3))] >> np.uint8(slot & np.uint64(7))) & 1:
                    continue
                low, high = 0, len(grams)
                while low < high:
                    middle = (low + high) // 2
                    if grams[middle] < h:
                        low = middle + 1
                    else:
                        high = middle
                if low == len(grams) or grams[low] != h:
                    continue
                if n == size:
                    token = np.concatenate((token, np.empty(size, np.int64)))
                    text = np.concatenate((text, np.empty(size, np.int64)))
                    found = np.concatenate((found, np.empty(size, np.int64)))
                    size *= 2
                token[n], text[n], found[n] = i, t, low
                n += 1
    return token[:n].copy(), text[:n].copy(), found[:n].copy()


def find_items(texts: Sequence[str], index: Index, near: int = 50, share: float = 0.5) -> list[list[Hit]]:
    """The items found in each text, in the order of their places.

    near: tokens between question and answer, at most. share: of the question's n-grams, at least.
    """
    hashes, starts, ends, offsets = tokenise(texts)
    token, text, gram = _scan(hashes, offsets, index.lengths, index.grams, index.bitmap)
    out: list[list[Hit]] = [[] for _ in texts]
    begins = np.concatenate([[0], np.cumsum([len(t) for t in texts])])
    for t in np.unique(text).tolist():
        low, high = offsets[t], offsets[t + 1]
        mine = text == t
        document = hashes[low:high]
        for item, places in _by_item(token[mine] - low, gram[mine], index).items():
            found = _judge(document, index, item, places, near, share)
            if found is not None:
                rule, a, b = found
                begin, end = int(starts[low + a] - begins[t]), int(ends[low + b - 1] - begins[t])
                out[t].append(Hit(index.items[item].task, index.items[item].name, rule, begin, end))
        out[t].sort(key=lambda hit: (hit.start, hit.end, hit.task, hit.item))
    return out


def _by_item(tokens: Any, grams: Any, index: Index) -> dict[int, list[tuple[int, int]]]:
    """For each item the (token of the text, token of the item) at which n-grams agree."""
    places: dict[int, list[tuple[int, int]]] = {}
    for at, gram in zip(tokens.tolist(), grams.tolist(), strict=True):
        for k in range(index.first[gram], index.first[gram + 1]):
            places.setdefault(int(index.item[k]), []).append((at, int(index.place[k])))
    return places


def _judge(
    document: Any, index: Index, item: int, places: list[tuple[int, int]], near: int, share: float
) -> tuple[str, int, int] | None:
    """Rule, first token and end of an item in a document; None where it is not there."""
    sought, answer = index.sought[item], index.answer[item]
    size = min(GRAM, len(sought))
    for cluster in _clusters(places, len(sought) + _SLACK):
        first, end = cluster[0][0], cluster[-1][0] + size
        rule = None
        if len(sought) >= LONG and _longest_run(document, sought, cluster) >= LONG:
            rule = "13-gram"
        elif len({place for _, place in cluster}) >= share * index.count[item]:
            rule = "8-gram" if len(sought) >= LONG else "short"
        if rule is None:
            continue
        if len(answer):
            reach = near if len(sought) >= LONG else min(near, _NEAR_SHORT)
            a, b = max(0, first - reach - len(answer)), end + reach + len(answer)
            at = _answer(document[a:b], answer)
            if at is None:
                continue
            first, end = min(first, a + at[0]), max(end, a + at[1])
        return rule, first, end
    return None


def _clusters(places: list[tuple[int, int]], window: int) -> list[list[tuple[int, int]]]:
    """Agreements cut where a cluster would become longer than `window` tokens, the richest first."""
    clusters: list[list[tuple[int, int]]] = []
    for place in places:
        if clusters and place[0] - clusters[-1][0][0] <= window:
            clusters[-1].append(place)
        else:
            clusters.append([place])
    return sorted(clusters, key=lambda cluster: -len({place for _, place in cluster}))


def _longest_run(document: Any, sought: Any, cluster: list[tuple[int, int]]) -> int:
    """Tokens in a row that agree around one of the agreements."""
    longest, seen = 0, set()
    for at, place in cluster:
        if at - place in seen:
            continue
        begin, finish = max(0, place - at), min(len(sought), len(document) - (at - place))
        agree = sought[begin:finish] == document[begin + at - place : finish + at - place]
        seen.add(at - place)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], agree.astype(np.int8), [0]])))
        if len(edges):
            longest = max(longest, int((edges[1::2] - edges[::2]).max()))
    return longest


def _answer(window: Any, answer: Any) -> tuple[int, int] | None:
    """Where half of the answer's tokens in a row (all of up to three, at most eight) stand; to their end."""
    needed = max(min(len(answer), 3), min(GRAM, -(-len(answer) // 2)))
    for place in range(len(answer) - needed + 1):
        wanted = answer[place : place + needed]
        for at in np.flatnonzero(window[: len(window) - needed + 1] == wanted[0]).tolist():
            if (window[at : at + needed] == wanted).all():
                most = min(len(answer) - place, len(window) - at)
                agree = window[at : at + most] == answer[place : place + most]
                return at, at + (most if agree.all() else int(np.argmin(agree)))
    return None
