"""Items in whole runs: what is an item and what only quotes its source, with spaces and without."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.job import manifest, table
from werp.inputs import list_inputs
from werp.quality.rows import json_lines
from werp.recipe import Recipe
from werp.refine import Options, make_plan, refine

PASSAGE = (
    "In the spring of 1851 the surveyors of the northern canal reported that the embankment near the mill had"
    " sunk by almost two feet, and the company closed the upper lock until the autumn of that year."
)
PENICILLIN = (
    "弗莱明于一九二八年在伦敦的圣玛丽医院发现了青霉素，后来弗洛里和钱恩把它制成了药物，挽救了无数伤员的生命。"
)
#: (task, context, question, gold answer): yes and no after a passage, and questions without spaces.
ITEMS: list[tuple[str, str | None, str, str]] = [
    ("boolq", PASSAGE, "Was the upper lock open in the summer of 1851?", "No"),
    ("inside", None, f"{PASSAGE} Did the company close the upper lock before the spring?", "no"),
    ("lines", None, f"{PASSAGE}\nWhat did the surveyors of the northern canal find?", "a sunk embankment"),
    ("zh", None, "哪种气体是植物进行光合作用时从空气中吸收的？", "二氧化碳"),
    ("zh_short", None, "中国的首都是哪个城市？", "北京"),
    ("zh_context", PENICILLIN, "钱恩是不是在1945年获得了诺贝尔奖？", "是"),
    (
        "ja",
        None,
        "学生が風のない日に、学校の屋上から落としたボールの何が一定の割合で変化しますか。",
        "ボールの速さ",
    ),
    ("ja_short", None, "日本で一番高い山は何という山ですか？", "富士山"),
    ("th", None, "พืชดูดซับก๊าซชนิดใดจากอากาศในการสังเคราะห์ด้วยแสง", "คาร์บอนไดออกไซด์"),
    ("km", None, "តើទីក្រុងណាជារដ្ឋធានីនៃប្រទេសកម្ពុជា", "ភ្នំពេញ"),
    ("my", None, "မြန်မာနိုင်ငံ၏ မြို့တော်သည် မည်သည့်မြို့ ဖြစ်သနည်း", "နေပြည်တော်"),
    (
        "ko",
        None,
        "조선 시대에 한글을 창제하여 백성들이 쉽게 글을 읽고 쓸 수 있도록 한 왕은 누구입니까?",
        "세종대왕",
    ),
    ("fr", None, "À quelle époque de l'été précédent le café de Málaga était-il fermé ?", "au début d'août"),
    ("lo", None, "ນະຄອນຫຼວງຂອງປະເທດລາວແມ່ນເມືອງໃດ", "ວຽງຈັນ"),
]
#: One text written otherwise: decomposed, with joiners between its letters, in capitals of full width.
FORMS: list[Callable[[str], str]] = [
    lambda text: unicodedata.normalize("NFD", text),
    "\u2060".join,
    lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text.upper()),
]
_PAGES = {"zh": "cmn_hans", "ja": "jpn", "th": "tha", "km": "khm", "my": "mya", "lo": "lao"}


@pytest.fixture(scope="module")
def pages(werp_data: Path) -> dict[str, str]:
    """A real text of each language; English for the rest."""
    found = {}
    for _, row in json_lines(werp_data / "corpora" / "udhr2.jsonl.xz"):
        found[str(row["id"]).rpartition("/")[2]] = str(row["text"])
    return {name: found[code] for name, code in _PAGES.items()} | {"en": found["eng"]}


def hits(folder: Path, texts: list[str]) -> list[list[str]]:
    """The tasks of which a run finds an item in each text."""
    (folder / "benchmarks").mkdir()
    rows: list[dict[str, Any]] = [
        {"task": task, "split": "test", "id": "1", "context": context, "question": question,
         "choices": ["???", answer], "gold": 1}
        for task, context, question, answer in ITEMS
    ]  # fmt: skip
    (folder / "benchmarks" / "all.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (folder / "x.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    rule = {"rule": "decontaminate.v1", "action": "report", "benchmarks": str(folder / "benchmarks")}
    recipe = Recipe.model_validate({"name": "found", "rules": [rule], "dedup": [{"rule": "exact.v1"}]})
    refine(None, make_plan(recipe, list_inputs([str(folder / "x.jsonl")]), folder / "out", Options()))
    return [
        sorted({hit["task"] for hit in row["decontaminate.hits"]}) for row in table(folder / "out", "signals")
    ]


def test_an_item_is_found_and_its_source_is_none(
    pages: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("werp.refine._report", lambda plan: None)
    wanted: list[tuple[str, list[str]]] = [(page, []) for page in pages.values()]
    for task, context, question, answer in ITEMS:
        page = pages.get(task.partition("_")[0], pages["en"])
        before, after = page[:700], page[700:1400]
        whole = f"{context} {question}" if context else question
        wanted += [
            (f"{before}\n{whole}\n{answer}\n{after}", [task]),
            (f"{before}\n「{whole}」\n(B) {answer}。\n{after}", [task]),
            # The source alone, the answer's word near it; the question without its answer.
            (f"{before}\n{context or PASSAGE} {answer}. {after}", []),
            (f"{before}\n{answer}. {context or PASSAGE}\n{after}", []),
        ]
        forms = enumerate(form(f"{whole} {answer}") for form in FORMS)  # numbered, as they look the same
        wanted += [(f"{before}\n{number}. {form}\n{after}", [task]) for number, form in forms]
        if answer not in ("No", "no", "是"):  # such words stand near any text
            wanted.append((f"{before}\n{question}\n{after}", []))
    wanted += [
        (f"{PASSAGE} Yes. No. The lock was open again in 1852.", []),
        (f"{PENICILLIN}是的，不是。", []),
    ]
    wanted.append(wanted[len(pages)])  # a copy, which deduplication drops
    found = hits(tmp_path, [text for text, _ in wanted])
    wrong = [
        (text[690:900], tasks, own) for (text, tasks), own in zip(wanted, found, strict=True) if tasks != own
    ]
    assert wrong == []
    pages_of = Counter(task for _, tasks in wanted for task in tasks)
    kept_of = pages_of - Counter(wanted[-1][1])
    assert manifest(tmp_path / "out")["contamination"] == {
        task: {"documents": count, "kept": kept_of[task]} for task, count in pages_of.items()
    }
