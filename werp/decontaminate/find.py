"""Evaluation items in texts: n-grams of the question, the share of it that is there, the gold answer near it.

A native scan looks every n-gram of a text up; what it finds, rarely anything, is judged here:

- `13-gram`: 13 tokens or more of the question in a row (GPT-3's length, Brown et al. 2020);
- `8-gram`: at least half of its 8-grams close together (in the manner of PaLM, Chowdhery et al. 2022);
- `short`: of a question of fewer than 13 tokens, at least half of its n-grams.

Each asks for the part of the question that asks (all but a context or passage before it): half of its
2-grams, close together, or two thirds where the answer has fewer than three words. And for the gold answer:
half of its tokens in a row (at most 8), within `near` tokens of the question; 20 for short ones. Text that
quotes the same source as a question is no hit, whatever words stand near it.

Lengths are words; where characters are tokens (`werp.decontaminate.tokens`), 1.6 times as many of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from werp.decontaminate.index import GRAM, Index, gram_hash, tokens_of
from werp.decontaminate.tokens import tokenise
from werp.signals.words import native

LONG = 13
_NEAR_SHORT = 20
_SLACK = 20  # words that an edited copy may be longer than the item
_ANSWERS = 3  # words of an answer that says something of itself
#: Shares of the 2-grams of the part that asks, close together; the second where the answer is shorter.
_ASKED, _ASKED_OF_SHORT = 0.5, 2 / 3
_MOVED = 10  # words by which an edited copy of that part may be longer


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
    sought, answer, unit = index.sought[item], index.answer[item], index.unit[item]
    size, long = min(int(tokens_of(GRAM, unit)), len(sought)), int(tokens_of(LONG, unit))
    near, slack = int(tokens_of(near, unit)), int(tokens_of(_SLACK, unit))
    for cluster in _clusters(places, len(sought) + slack):
        first, end = cluster[0][0], cluster[-1][0] + size
        rule = None
        if len(sought) >= long and _longest_run(document, sought, cluster) >= long:
            rule = "13-gram"
        elif len({place for _, place in cluster}) >= share * index.count[item]:
            rule = "8-gram" if len(sought) >= long else "short"
        if rule is None:
            continue
        if len(index.asks[item]):
            begin = max(0, first - cluster[0][1] - slack)
            asked = _asked(document[begin : begin + len(sought) + 2 * slack], index, item)
            if asked is None:
                continue
            first, end = min(first, begin + asked[0]), max(end, begin + asked[1])
        if len(answer):
            reach = near if len(sought) >= long else min(near, int(tokens_of(_NEAR_SHORT, unit)))
            # The question's own words are no answer to it: "is it red or blue?" names both.
            asked_from, asked_to = _stretch(cluster, len(sought))
            a, b = max(0, first - reach - len(answer)), end + reach + len(answer)
            after = _answer(document[asked_to:b], answer, unit)
            before = _answer(document[a:asked_from], answer, unit)
            if after is not None:
                end = max(end, asked_to + after[1])
            elif before is not None:
                first = min(first, a + before[0])
            else:
                continue
        return rule, first, end
    return None


def _stretch(cluster: list[tuple[int, int]], length: int) -> tuple[int, int]:
    """Where a question of so many tokens lies whole, by its first and its last agreement."""
    first, last = cluster[0][0], cluster[-1][0]
    begin = first - min(place for at, place in cluster if at == first)
    return max(0, begin), last + length - max(place for at, place in cluster if at == last)


def _asked(window: Any, index: Index, item: int) -> tuple[int, int] | None:
    """Where the part that asks stands: half of its 2-grams close together, more where the answer is short."""
    asks, unit = index.asks[item], index.unit[item]
    n = min(int(tokens_of(2, unit)), len(asks))
    if len(window) < n:
        return None
    there = np.lib.stride_tricks.sliding_window_view(window, n)
    wanted = np.lib.stride_tricks.sliding_window_view(asks, n)
    agree = (there[:, None, :] == wanted[None, :, :]).all(axis=2)
    # A question repeats words of its passage: those that it alone has count by themselves too.
    passage = index.sought[item][: len(index.sought[item]) - len(asks)]
    own = np.ones(len(wanted), bool)
    if len(passage) >= n:
        known = np.lib.stride_tricks.sliding_window_view(passage, n)
        own = ~(known[:, None, :] == wanted[None, :, :]).all(axis=2).any(axis=0)
    short = len(index.answer[item]) < tokens_of(_ANSWERS, unit)
    share = _ASKED_OF_SHORT if short else _ASKED
    reach = len(asks) + int(tokens_of(_MOVED, unit))
    places = np.flatnonzero(agree.any(axis=1))
    for place in places.tolist():
        found = agree[place : place + reach].any(axis=0)
        if found.mean() >= share and (found & own).sum() >= share * own.sum():
            return place, int(places[places < place + reach][-1]) + n
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


def _answer(window: Any, answer: Any, unit: float) -> tuple[int, int] | None:
    """Where half of the answer's words in a row (all of up to three, at most eight) stand; to their end."""
    least, most_needed = int(tokens_of(_ANSWERS, unit)), int(tokens_of(GRAM, unit))
    needed = max(min(len(answer), least), min(most_needed, -(-len(answer) // 2)))
    for place in range(len(answer) - needed + 1):
        wanted = answer[place : place + needed]
        for at in np.flatnonzero(window[: max(0, len(window) - needed + 1)] == wanted[0]).tolist():
            if (window[at : at + needed] == wanted).all():
                most = min(len(answer) - place, len(window) - at)
                agree = window[at : at + most] == answer[place : place + most]
                return at, at + (most if agree.all() else int(np.argmin(agree)))
    return None
