"""Rule `refinedweb_lines.v1`: RefinedWeb's line-wise corrections, as DCLM-Baseline sets them.

Source: Penedo et al. 2023 (arXiv 2306.01116), appendix G.2; numbers and order of DCLM's
`dclm_baseline_refinedweb.yaml` (361714bd). As there, empty lines are left alone and lines of white space go.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from werp.edits import Span
from werp.signals.base import Check, EditRule
from werp.signals.batch import TextBatch
from werp.signals.lines import Line, lines_of, stripped
from werp.signals.scripts import words_of_line

_COUNTED = (
    "likes shares comments retweets reposts quotes bookmarks upvotes downvotes downloads views followers"
)
_COUNTER = re.compile(rf"\A\W*+\d[\d,.]*+[kmb]?\s++(?:{_COUNTED.replace(' ', '|')})\W*")
_NAME = "refinedweb_lines.v1"


class RefinedWebLines(EditRule):
    """Edits: lines of capitals, of digits, counters, lines of one word; three phrases of short lines.

    Signals: refinedweb_lines.removed_word_ratio (float64): words taken out / words before, null without a
    word; refinedweb_lines.removed_lines (int64). Words are counted as DCLM counts them: tokens between ASCII
    white space that begin with a letter or digit; a line's words are all that stands between white space. In
    scripts without spaces both are the segmenter's.
    """

    rule: Literal["refinedweb_lines.v1"] = "refinedweb_lines.v1"
    max_uppercase_ratio: float | None = Field(0.5, ge=0, description="capitals / characters of a line kept")
    max_digit_ratio: float | None = Field(0.999999, ge=0, description="digits / characters of a line kept")
    counters: bool = Field(True, description="take out lines such as `12 likes`")
    min_words_per_line: int | None = Field(2, ge=0, description="a line of fewer words is taken out")
    max_words_of_phrase_line: int | None = Field(
        10, ge=0, description="a phrase is cut out of lines of at most so many words; null cuts none"
    )
    max_removed_word_ratio: float | None = Field(
        0.05, ge=0, description="most of a page's words taken out, share"
    )

    def edit_parameters(self) -> dict[str, Any]:
        """Every field but the last."""
        return self.model_dump(exclude={"rule", "max_removed_word_ratio"})

    def measure_edits(
        self, before: TextBatch, spans: list[list[Span]], after: TextBatch
    ) -> dict[str, pa.Array]:
        """See `EditRule.measure_edits`."""
        # Imported at need, for numba's sake: a recipe is read where nothing is measured.
        from werp.signals.spaced import tokens  # noqa: PLC0415

        words = [tokens(batch.split).tolist() for batch in (before, after)]
        shares = [1 - left / all_ if all_ else None for all_, left in zip(*words, strict=True)]
        lines = [sum(span.rule in _LINE_RULES for span in own) for own in spans]
        return {
            "refinedweb_lines.removed_word_ratio": pa.array(shares, pa.float64()),
            "refinedweb_lines.removed_lines": pa.array(lines, pa.int64()),
        }

    def checks(self) -> list[Check]:
        """The share of words taken out."""
        if self.max_removed_word_ratio is None:
            return []
        signal = "refinedweb_lines.removed_word_ratio"
        return [Check("max_removed_word_ratio", signal, ">", self.max_removed_word_ratio)]

    def edits(self, batch: TextBatch) -> list[list[Span]]:
        """See `EditRule.edits`."""
        return [self._edits(*page) for page in zip(batch.texts, batch.line_segmenters, strict=True)]

    def _edits(self, text: str, segmenter: str | None) -> list[Span]:
        spans: list[Span] = []
        for line in lines_of(text, newline_only=True):
            if not line.text:
                continue
            why = self._judge(line.text, segmenter)
            if why is not None:
                spans.append(Span(line.start, line.after, f"{_NAME}.{why}"))
            else:
                spans += self._phrases(line, segmenter)
        return stripped(text, spans, f"{_NAME}.white_space")

    def _judge(self, line: str, segmenter: str | None) -> str | None:
        size = len(line)
        capitals, digits = self.max_uppercase_ratio, self.max_digit_ratio
        if capitals is not None and sum(map(str.isupper, line)) / size > capitals:
            return "max_uppercase_ratio"
        if digits is not None and sum(map(str.isdigit, line)) / size > digits:
            return "max_digit_ratio"
        if self.counters and _COUNTER.fullmatch(line.lower()):
            return "counters"
        least = self.min_words_per_line
        if least is not None and len(words_of_line(line) if segmenter else line.split()) < least:
            return "min_words_per_line"
        return None

    def _phrases(self, line: Line, segmenter: str | None) -> list[Span]:
        """Cut `items in cart` anywhere, `Read more...` at the end, `Sign-in` at the front of a short line."""
        limit = self.max_words_of_phrase_line
        if limit is None:
            return []
        spans: list[Span] = []
        lower = line.text.lower()
        for phrase, pattern in _PHRASES:
            if phrase not in lower:
                continue
            if len(words_of_line(line.text) if segmenter else line.text.split()) > limit:
                continue
            spans += [
                Span(line.start + m.start(), line.start + m.end(), f"{_NAME}.phrases")
                for m in pattern.finditer(line.text)
                if not any(s.start < line.start + m.end() and line.start + m.start() < s.end for s in spans)
            ]
        if not spans:
            return []
        left = len(line.text) - sum(span.end - span.start for span in spans)
        kept = "".join(
            c for i, c in enumerate(line.text, line.start) if not any(s.start <= i < s.end for s in spans)
        )
        if left == 0 or kept.isspace():
            return [Span(line.start, line.after, f"{_NAME}.phrases")]
        return sorted(spans)


# As DCLM's patterns have it, the dots of `Read more...` stand for any character.
_PHRASES = (
    ("items in cart", re.compile(r"\s?items in cart", re.I)),
    ("read more", re.compile(r"\s?read more...$", re.I)),
    ("sign-in", re.compile(r"^sign-in\s?", re.I)),
)
_LINE_RULES = frozenset(
    f"{_NAME}.{key}" for key in ("max_uppercase_ratio", "max_digit_ratio", "counters", "min_words_per_line")
)
