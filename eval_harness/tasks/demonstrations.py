"""The demonstrations that OLMES fixed for eight tasks, five each, in its order (arXiv 2406.08446).

They are items of the data sets' own training splits, chosen by OLMES for a balance of answers, kept here
in raw fields so that both forms are rendered from the same source. Their licences are the data sets':
ARC CC BY-SA 4.0, HellaSwag MIT, WinoGrande CC BY, PIQA AFL-3.0, SocialIQA CC BY 4.0, CommonsenseQA MIT,
OpenBookQA Apache-2.0.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from eval_harness.task import Item


@cache
def _stored() -> dict[str, list[dict[str, object]]]:
    stored: dict[str, list[dict[str, object]]] = json.loads(
        files("eval_harness.tasks").joinpath("demonstrations.json").read_text("utf-8")
    )
    return stored


def olmes(task: str) -> tuple[Item, ...]:
    """The five of a task."""
    return tuple(
        Item(f"olmes-{i}", str(row["question"]), tuple(row["choices"]), int(row["gold"]))  # type: ignore[arg-type, call-overload]
        for i, row in enumerate(_stored()[task])
    )
