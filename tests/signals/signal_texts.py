"""Texts for the signal tests: odd ones and made-up ones."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import strategies as st

from werp.signals.batch import TextBatch
from werp.signals.lines import is_blank_line

ODD_TEXTS = [
    "",
    " ",
    " \t\n \u00a0\u2003 ",
    "\n",
    "\n\n\n",
    " \n\u200b\n\t\n",
    "one\n \none\n\u00a0\ntwo\n \u00ad\ufeff\n\ntwo",
    "word",
    "one line without end",
    "ends with newline\n",
    "\nstarts with newline",
    "a\n\na\n\n\na",
    "\ud800 lone \udfff surrogates \ud83d",
    "…",
    "....",
    "a\r\nb\rc\x0bd\x0ce\x1cf\x1dg\x1eh\x85i\u2028j\u2029k",
    "漢字かな交じり文です。改行\n漢字かな交じり文です。改行",
    "🎉🎉 party 🎉🎉",
    "e\u0301te\u0301 नमस्ते",
    "- a\n- b\n• c\n  - d...\n…",
    "# # # ## ###",
    "the be to of and that have with",
    "\U000e0100\U0010ffff",
    "((((((((((((a))))))))))))",
]

# Few characters, so that words, lines and n-grams repeat; each is one that some rule looks at.
MADE_TEXT = st.one_of(
    st.text(alphabet="ab .\n", max_size=120),
    st.text(alphabet="aB1 .,'’-…#•\n\r\u2028%+$:/@s\u00e9\u0301漢🎉\ud800", max_size=80),
    st.text(max_size=40),
    st.lists(
        st.sampled_from(["the", "be", "don't", "U.S.", "...", "-", "\n", "\n\n", "x1", "#"]), max_size=60
    ).map(" ".join),
)


def emptied(text: str) -> str:
    """The text with lines of white space and invisible characters alone made empty."""
    return "\n".join("" if is_blank_line(line) else line for line in text.split("\n"))


def batch_of(texts: list[str]) -> TextBatch:
    """A batch whose words are those of `words.v1` alone."""
    return TextBatch([str(i) for i in range(len(texts))], [""] * len(texts), texts, segmenter=None)


def assert_columns(columns: dict[str, pa.Array], name: str, expected: list[float | None]) -> None:
    """The column holds exactly the expected numbers, null for None."""
    values = columns[name].to_pylist()
    wrong = [(t, a, b) for t, (a, b) in enumerate(zip(values, expected, strict=True)) if a != b]
    assert not wrong, (name, wrong[:5])
