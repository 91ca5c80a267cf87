"""Rule `c4.v1`: C4's line rules and page rules.

Source: Raffel et al. 2020 (arXiv 1910.10683), section 2.2. The defaults are those of datatrove 0.10's
`c4_filters.py`; FineWeb switches `terminal_punctuation` off, DCLM's `c4.yaml` asks for 5 words a line and 3
sentences, with a list of bad words.

In Latin script every rule is the source's. Beyond it, where the source is silent:

* A line of a script without spaces has the words that the segmenter finds in it.
* A line whose last letter is of another script ends in terminal punctuation of any script (。！？।؟۔ ...) or
  in an end quotation mark. Thai and Lao end sentences without a mark: the rule leaves their lines.
* A bad word stands alone: no letter or digit is beside it, and a letter of a script without spaces is none.
  The source asks for no boundary in Japanese, Thai and Chinese. Four listed words that are parts of common
  ones there never count, as in the source.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from werp.edits import Span
from werp.lists import list_digest, read_list
from werp.signals.base import Check, EditRule
from werp.signals.batch import TextBatch
from werp.signals.lines import lines_of, stripped
from werp.signals.scripts import is_unspaced, unspaced_class, words_of_line
from werp.signals.terminal import TERMINAL

_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
_ENDS = (".", "?", "!", '"', "'")
_ELLIPSIS = "..."
_LATIN = re.compile("[A-Za-zªºÀ-ÖØ-öø-ʯḀ-ỿⱠ-Ɀ꜠-ꟿﬀ-ﬆＡ-Ｚａ-ｚ]")
_WITHOUT_MARKS = re.compile("[\u0e01-\u0e4e\u0e81-\u0ede]")  # Thai and Lao
_QUOTES = "«»‹›“”‘’」』〞〟﹂﹄｣"
_LATIN_QUOTES = "«»‹›“‘"  # of languages beside English, whose ” the source doesn't take for an end
_TIBETAN = "།༎༏༐༑༒"  # terminal punctuation that no sentence property names
#: Listed in Japanese or Chinese, and part of common words there (tensorflow/datasets, datatrove).
_ALLOWED = frozenset({"sm", "グロ", "女の子", "性"})
_POLICY = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies",
)  # fmt: skip


class C4(EditRule):
    """Edits: lines that break a line rule, citation marks, white space around lines. Signals:

    c4.lorem_ipsum, c4.curly_bracket (int64): lines with `lorem ipsum` or `{` that no line rule took before.
    c4.sentences (int64): sentences of the edited text, counted a line at a time.
    c4.removed_lines (int64): lines taken out; c4.bad_word (string): the listed word found, else null.
    """  # fmt: skip

    rule: Literal["c4.v1"] = "c4.v1"
    max_word_length: int | None = Field(1000, ge=1, description="a line with a longer word is taken out")
    remove_citations: bool = Field(
        True, description="take out [1], [edit], [citation needed] of lines that stay"
    )
    terminal_punctuation: bool = Field(
        True,
        description="take out lines that do not end in . ? ! \" ' (or their script's marks) or end in ...",
    )
    min_words_per_line: int | None = Field(3, ge=0, description="a line of fewer words is taken out")
    javascript: bool = Field(True, description="take out lines that name javascript")
    policy: bool = Field(True, description="take out lines on terms of use, privacy and cookies")
    lorem_ipsum: bool = Field(True, description="drop a page with lorem ipsum")
    curly_bracket: bool = Field(True, description="drop a page with {")
    min_sentences: int | None = Field(5, ge=0, description="fewest sentences left")
    bad_words: str | None = Field(None, description="list file: words of which one drops the page")

    def edit_parameters(self) -> dict[str, Any]:
        """The line rules."""
        keys = ("max_word_length", "remove_citations", "terminal_punctuation", "min_words_per_line")
        return {key: getattr(self, key) for key in (*keys, "javascript", "policy")}

    def measure_parameters(self) -> dict[str, Any]:
        """The line rules and the list's content."""
        return self.edit_parameters() | {"bad_words": list_digest("c4.v1.bad_words", self.bad_words)}

    def measure_edits(
        self, before: TextBatch, spans: list[list[Span]], after: TextBatch
    ) -> dict[str, pa.Array]:
        """See `EditRule.measure_edits`."""
        # Imported at need, for numba's sake: a recipe is read where nothing is measured.
        from werp.signals.sentences import sentence_counts  # noqa: PLC0415

        pages = zip(before.texts, before.line_segmenters, strict=True)
        verdicts = [[self._judge(line, own) for line in text.splitlines()] for text, own in pages]
        columns = {
            "lorem_ipsum": [sum(lorem for _, lorem, _ in own) for own in verdicts],
            "curly_bracket": [sum(curly for _, _, curly in own) for own in verdicts],
            "removed_lines": [sum(why is not None for why, _, _ in own) for own in verdicts],
        }
        bad = [self._bad_word(text) for text in after.texts]
        return {
            **{f"c4.{name}": pa.array(column, pa.int64()) for name, column in columns.items()},
            "c4.sentences": pa.array(sentence_counts(after.split), pa.int64()),
            "c4.bad_word": pa.array(bad, pa.string()),
        }

    def checks(self) -> list[Check]:
        """The page rules that are on."""
        every = (
            (self.lorem_ipsum, Check("lorem_ipsum", "c4.lorem_ipsum", ">", 0)),
            (self.curly_bracket, Check("curly_bracket", "c4.curly_bracket", ">", 0)),
            (
                self.min_sentences is not None,
                Check("min_sentences", "c4.sentences", "<", self.min_sentences or 0),
            ),
            (self.bad_words is not None, Check("bad_words", "c4.bad_word", "set", None)),
        )
        return [check for on, check in every if on]

    def _judge(self, line: str, segmenter: str | None) -> tuple[str | None, bool, bool]:
        """The line rule that takes the line out, else None; whether it shows lorem ipsum, and `{`.

        In datatrove's order: what an earlier line rule takes out shows nothing.
        """
        line = line.strip()
        words = words_of_line(line) if segmenter else line.split()
        longest = self.max_word_length
        if longest is not None and len(line) > longest and max(map(len, words), default=0) > longest:
            return "max_word_length", False, False
        if self.remove_citations and "[" in line:
            line = _CITATION.sub("", line)
        if self.terminal_punctuation and not ends_sentence(line):
            return "terminal_punctuation", False, False
        if self.min_words_per_line is not None and len(words) < self.min_words_per_line:
            return "min_words_per_line", False, False
        lower = line.lower()
        lorem = "lorem ipsum" in lower
        if self.javascript and "javascript" in lower:
            return "javascript", lorem, False
        policy = self.policy and any(phrase in lower for phrase in _POLICY)
        return "policy" if policy else None, lorem, "{" in line

    def edits(self, batch: TextBatch) -> list[list[Span]]:
        """See `EditRule.edits`."""
        return [self._edits(*page) for page in zip(batch.texts, batch.line_segmenters, strict=True)]

    def _edits(self, text: str, segmenter: str | None) -> list[Span]:
        spans: list[Span] = []
        space = "c4.v1.white_space"
        for line in lines_of(text, newline_only=False):
            why = self._judge(line.text, segmenter)[0]
            if why is not None:
                if line.after > line.start:
                    spans.append(Span(line.start, line.after, f"c4.v1.{why}"))
                continue
            inner = line.text.strip()
            start = line.start + len(line.text) - len(line.text.lstrip())
            end = start + len(inner)
            if line.start < start:
                spans.append(Span(line.start, start, space))
            if self.remove_citations and "[" in inner:
                spans += [
                    Span(start + m.start(), start + m.end(), "c4.v1.remove_citations")
                    for m in _CITATION.finditer(inner)
                ]
            separator = text[line.end : line.after]
            if separator in ("", "\n"):
                if end < line.end:
                    spans.append(Span(end, line.end, space))
            else:
                spans.append(Span(end, line.after, space, "\n"))
        return stripped(text, spans, space)

    @cached_property
    def _bad_words(self) -> re.Pattern[str] | None:
        words = read_list("c4.v1.bad_words", self.bad_words, str) - _ALLOWED
        return alone(words) if words else None

    def _bad_word(self, text: str) -> str | None:
        if self._bad_words is None:
            return None
        found = self._bad_words.search(text.lower())
        return found[0] if found else None


def ends_sentence(line: str) -> bool:
    """Whether a line, without white space at its end, ends as a sentence does in its script.

    >>> [ends_sentence(line) for line in ("It ends.", "It trails off...", "終わる。", "終わる", "จบแล้ว")]
    [True, False, True, False, True]
    """
    if line.endswith(_ENDS):
        return not line.endswith(_ELLIPSIS)
    if line.isascii() or line.endswith(("。。。", "．．．")):
        return False
    letter = next(filter(str.isalpha, reversed(line)), "a")
    if _WITHOUT_MARKS.match(letter):
        return True
    if _LATIN.match(letter):  # a word of Latin letters may end a line of any script
        if line[-1] in TERMINAL or line[-1] in _LATIN_QUOTES:
            return True
        unmarked = _WITHOUT_MARKS.findall(line)
        return bool(unmarked) and len(unmarked) >= len(_LATIN.findall(line))
    greek = "\u0370" <= letter <= "\u03ff" or "\u1f00" <= letter <= "\u1fff"
    return line[-1] in TERMINAL or line[-1] in _QUOTES or line[-1] in _TIBETAN or (greek and line[-1] in ";;")


def alone(words: Collection[str]) -> re.Pattern[str]:
    """A pattern of these words where no letter or digit of a script with spaces stands beside them.

    At an end of a word that is itself of a script without spaces, anything may stand beside it.
    """
    inside = rf"[^\W{unspaced_class()}]"
    kinds: dict[tuple[str, str], list[str]] = {}
    for word in sorted(words):
        front = "" if is_unspaced(word[0]) else f"(?<!{inside})"
        back = "" if is_unspaced(word[-1]) else f"(?!{inside})"
        kinds.setdefault((front, back), []).append(re.escape(word))
    return re.compile(
        "|".join(f"{front}(?:{'|'.join(own)}){back}" for (front, back), own in sorted(kinds.items()))
    )
