"""Prompts of nine tasks: every request that AI2 bundles, byte for byte, and MMLU by its rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval_harness.data import FolderSource, item, load, sample
from eval_harness.evaluate import Settings, questions
from eval_harness.task import Form, Item
from eval_harness.tasks import TASKS, arc_easy, hellaswag, socialiqa
from eval_harness.tasks.mmlu import TASK as MMLU
from eval_harness.tasks.winogrande import TASK as WINOGRANDE
from eval_harness.verify import verify_file

BUNDLED = {
    "arc_easy": ("arc_easy.val_", "validation", 570),
    "arc_challenge": ("arc_challenge.val_", "validation", 299),
    "commonsenseqa": ("csqa.val_", "validation", 1221),
    "openbookqa": ("openbookqa.val_", "validation", 500),
    "piqa": ("piqa.val_", "validation", 1838),
    "socialiqa": ("socialiqa.val_", "validation", 1954),
    "winogrande": ("winogrande.val_", "validation", 1267),
    "hellaswag": ("hellaswag.", "validation", 1000),
}


@pytest.mark.parametrize("form", ["cloze", "multiple_choice"])
@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_request_is_rendered_byte_for_byte(name: str, form: Form, werp_data: Path) -> None:
    task, (stem, split, count) = TASKS[name], BUNDLED[name]
    source = FolderSource(werp_data / "benchmarks")
    rows = list(source.rows(task, split))
    items = sample(tuple(item(task, row, i, "folder") for i, row in enumerate(rows)), count)
    path = (
        source.folder
        / "olmes-requests"
        / f"{stem}{'rc' if form == 'cloze' else 'mc'}_5shot.requests.jsonl.gz"
    )
    verdict = verify_file(task, dict(enumerate(items)), path, form, shots=5)
    assert verdict.examples == []
    assert verdict.whole
    requests = sum(len(it.choices) for it in items)
    assert verdict.unconditional == (requests if form == "cloze" and task.unconditional else 0)
    assert verdict.equal == requests + verdict.unconditional


def test_verification_sees_a_changed_byte_and_a_missing_item(werp_data: Path) -> None:
    task, source = TASKS["openbookqa"], FolderSource(werp_data / "benchmarks")
    items = dict(enumerate(item(task, row, i, "") for i, row in enumerate(source.rows(task, "validation"))))
    path = source.folder / "olmes-requests/openbookqa.val_rc_5shot.requests.jsonl.gz"
    old = items[7]
    items[7] = Item(old.id, old.question + " ", old.choices, old.gold)
    assert verify_file(task, items, path, "cloze", 5).different == len(old.choices)
    items[7] = Item(old.id, old.question, old.choices, (old.gold + 1) % 4)
    assert verify_file(task, items, path, "cloze", 5).different == 2 * len(old.choices)
    items[7], items[500] = old, old
    assert not verify_file(task, items, path, "cloze", 5).whole


def test_the_scored_splits_have_the_published_sizes(werp_data: Path) -> None:
    source = FolderSource(werp_data / "benchmarks")
    sizes = {
        name: (len(d.items), sum(len(it.choices) for it in d.items))
        for name, d in ((task.name, load(task, source)) for task in TASKS.values())
    }
    assert sizes == {
        "mmlu": (14042, 56168),
        "arc_easy": (2376, 9501),
        "arc_challenge": (1172, 4687),
        "hellaswag": (10042, 40168),
        "winogrande": (1267, 2534),
        "piqa": (1838, 3676),
        "socialiqa": (1954, 5862),
        "commonsenseqa": (1221, 6105),
        "openbookqa": (500, 2000),
    }


def test_mmlu_has_a_description_and_the_first_five_of_its_own_dev_split(werp_data: Path) -> None:
    source = FolderSource(werp_data / "benchmarks")
    data = load(MMLU, source)
    assert len(data.demonstrations) == 57
    assert all(len(shots) == 5 for shots in data.demonstrations.values())
    first = next(it for it in data.items if it.subject == "abstract_algebra")
    for form, question, answer in (
        ("cloze", "Question: Find all c in Z_3 such that Z_3[x]/(x^2 + c) is a field.\nAnswer:", " 1"),
        (
            "multiple_choice",
            "Question: Find all c in Z_3 such that Z_3[x]/(x^2 + c) is a field."
            "\n A. 0\n B. 1\n C. 2\n D. 3\nAnswer:",
            " B",
        ),
    ):
        asked = questions(MMLU, data, Settings(form, 5))  # type: ignore[arg-type]
        ask = asked.asks[data.items.index(first)]
        assert ask.head == (
            "The following are multiple choice questions (with answers) about abstract algebra.\n\n"
        )
        assert ask.shots[0] == question + answer + "\n\n"
        assert ask.contexts[0].startswith(f"Question: {first.question}\n")
        assert len(asked.unconditional) == (14042 if form == "cloze" else 0)


def test_winogrande_varies_the_context_and_keeps_the_continuation() -> None:
    prompt = WINOGRANDE.cloze(Item("x", "The cup broke the _ . It was glass.", ("table", "lamp"), 0))
    assert prompt.contexts == ("The cup broke the table", "The cup broke the lamp")
    assert prompt.continuations == (" . It was glass.",) * 2


def test_hellaswag_cleans_the_original_fields() -> None:
    row = hellaswag.hub_row(
        {
            "ind": 3,
            "activity_label": "Shaving",
            "ctx_a": "[header] How to shave [title] Wash. [title] Lather [step] Use  foam [substeps] lots.",
            "ctx_b": "then SHE",
            "endings": [" [step] A razor. [title] Rinse", "b", "c", "d"],
            "label": "2",
        }
    )
    made = hellaswag.TASK.row({**row, "id": 3})
    assert made.question == "Shaving: How to shave. Wash. Lather Use foam lots. Then she"
    # The marker stood first, so its blank stays and the cloze continuation begins with two.
    assert made.choices[0] == " A razor. Rinse"
    assert hellaswag.TASK.cloze(made).continuations[0] == "  A razor. Rinse"
    assert hellaswag.TASK.multiple_choice(made).contexts[0].splitlines()[2] == " A.  A razor. Rinse".replace(
        "  ", " "
    )
    assert made.gold == 2
    empty = hellaswag.TASK.row({**row, "question": "Shaving: Wash."})
    assert hellaswag.TASK.cloze(empty).contexts[0] == "Shaving: Wash."
    assert hellaswag.TASK.multiple_choice(empty).contexts[0].startswith("Shaving: Wash. \nChoose the best")


def test_hub_rows_become_the_folders_rows() -> None:
    arc = arc_easy.hub_row(
        {
            "id": "a",
            "question": "Q?",
            "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]},
            "answerKey": "2",
        }
    )
    assert (arc["choices"], arc["gold"]) == (["x", "y", "z"], 1)
    social = socialiqa.answers_row(
        {"context": "C.", "question": "Q?", "answerA": "a", "answerB": "b", "answerC": "c", "label": "3"}
    )
    assert socialiqa.TASK.row({**social, "id": 0}) == Item("0", "C. Q?", ("a", "b", "c"), 2)
