"""From sources to a proven model: what may be learnt from, how it is split, what is written."""

from __future__ import annotations

import gzip
import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from tests.job import ROOT, environment
from werp.errors import WerpError
from werp.quality.betr import best_ranks, read_targets, top_share
from werp.quality.rows import Row, item_text, read_source
from werp.quality.spec import Source, Spec, load_spec, preset_names, validated
from werp.quality.training import held_out_groups, train_classifier

PRESETS = ROOT / "werp" / "quality" / "presets"
GOOD = [
    "theorem",
    "sequence",
    "converges",
    "because",
    "every",
    "bounded",
    "function",
    "integral",
    "proof",
    "lemma",
]
BAD = ["buy", "cheap", "shoes", "free", "shipping", "click", "offer", "price", "sale", "cart", "checkout"]


def write_rows(path: Path, words: list[str], count: int, seed: int, site: str) -> None:
    random_ = random.Random(seed)
    with path.open("w") as file:
        for k in range(count):
            text = " ".join(random_.choices(words, k=30))
            file.write(
                json.dumps({"id": f"{site}/{k}", "url": f"https://{site}{k % 10}.org/{k}", "text": text})
                + "\n"
            )


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    write_rows(tmp_path / "good.jsonl", GOOD, 100, 1, "good")
    write_rows(tmp_path / "bad.jsonl", BAD, 160, 2, "bad")
    content: dict[str, Any] = {
        "name": "tiny",
        "positives": [{"path": str(tmp_path / "good.jsonl"), "kind": "jsonl"}],
        "negatives": [{"path": str(tmp_path / "bad.jsonl"), "kind": "jsonl"}],
        "fasttext": {"dim": 8, "bucket": 1000, "epoch": 20, "lr": 0.5},
        "quantize": {"cutoff": 500},
        "contrasts": [["positive", "negative"]],
    }
    return validated(content, "here")


def test_a_model_with_its_proof(spec: Spec, tmp_path: Path) -> None:
    card = train_classifier(spec, tmp_path / "out")
    assert card["held_out"]["roc_auc"] == 1.0
    groups = card["held_out"]["groups"]
    assert groups["positive"] == {"rows": 20, "groups": 2, "largest": groups["positive"]["largest"]}
    assert card["rows"]["training"] == {"positive": 80, "negative": 128, "balanced": True}
    assert sum(1 for _ in (tmp_path / "out" / "lines.txt").open()) == 160
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"model.ftz", "card.json", "thresholds.json", "report.html", "lines.txt"}
    again = train_classifier(spec, tmp_path / "again")
    assert again == card
    with pytest.raises(WerpError, match="--force"):
        train_classifier(spec, tmp_path / "out")
    train_classifier(spec, tmp_path / "out", force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep me")
    with pytest.raises(WerpError, match="other files"):
        train_classifier(spec, tmp_path / "mine", force=True)


def test_the_report_escapes_what_a_page_says(spec: Spec, tmp_path: Path) -> None:
    with (tmp_path / "good.jsonl").open("a") as file:
        for k in range(10):
            row = {
                "url": f"https://good{k}.org/<i>",
                "text": "theorem \u202e <script>alert(1)</script> " * 8 + str(k),
            }
            file.write(json.dumps(row) + "\n")
    train_classifier(spec, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "\u202e" not in page
    assert "[U+202E]" in page


def test_no_group_is_cut_and_each_class_keeps_its_share() -> None:
    random_ = random.Random(0)
    classes = [[Row("x", f"{c}{random_.randrange(30)}", "") for _ in range(400)] for c in "ab"]
    classes[1] += [Row("x", "a7", "")] * 5  # a site with rows of both classes
    held = held_out_groups(classes, 0.2, 0)
    for rows in classes:
        share = sum(row.group in held for row in rows) / len(rows)
        assert 0.1 < share <= 0.2
    assert held == held_out_groups([rows[::-1] for rows in classes], 0.2, 0)
    assert held != held_out_groups(classes, 0.2, 1)


def item(task: str, split: str, number: int, text: str | None = None) -> dict[str, Any]:
    question = text or f"question {number} of {split}?"
    return {"task": task, "split": split, "id": str(number), "context": None, "question": question,
            "choices": ["no", "yes"], "gold": 1}  # fmt: skip


def write_benchmark(path: Path, items: list[dict[str, Any]]) -> str:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(i) + "\n" for i in items)
    return str(path)


def test_evaluation_items_are_refused_by_id(tmp_path: Path) -> None:
    path = write_benchmark(
        tmp_path / "b.jsonl.gz", [item("b", s, k) for s in ("train", "test") for k in range(5)]
    )
    for split in ("test", "validation"):
        with pytest.raises(WerpError, match="evaluation data"):
            read_source(Source(path=path, kind="benchmark", where={"split": (split,)}))
    # Nor as plain JSON lines, whatever they are called.
    with pytest.raises(WerpError, match=r"b\.jsonl\.gz:6: item b/test/0 is evaluation data"):
        read_source(Source(path=path, kind="jsonl", text=("question",)))
    rows = read_source(Source(path=path, kind="benchmark"))
    assert [row.name for row in rows] == [f"b/train/{k}" for k in range(5)]


def test_targets_are_equally_many_and_never_an_evaluation_text(tmp_path: Path) -> None:
    a = [item("a", "train", k) for k in range(12)] + [item("a", "test", 0, "question 3 of train?")]
    b = [item("b", "dev", k) for k in range(9)]
    few = [item("c", "train", k) for k in range(3)]
    paths = [
        write_benchmark(tmp_path / f"{n}.jsonl.gz", rows) for n, rows in (("a", a), ("b", b), ("c", few))
    ]
    targets = read_targets([Source(path=p, kind="benchmark") for p in paths], 5, seed=0)
    assert targets.used == ["a", "b"]
    assert targets.per_benchmark == 9
    assert len(targets.rows) == 18
    assert set(targets.left_out) == {"a/train/3", "c"}
    assert "a/train/3" not in {row.name for row in targets.rows}


def test_a_blank_is_filled_with_the_answer() -> None:
    assert item_text(
        {"question": "Ann was slow so _ lost.", "choices": ["Ann", "Bo"], "gold": 0, "context": None}
    ) == ("Ann was slow so Ann lost.")
    assert item_text(item("t", "dev", 1)) == "question 1 of dev?\nyes"


def test_best_ranks_are_those_of_the_definition() -> None:
    random_ = np.random.default_rng(0)
    documents, targets = (random_.normal(size=(n, 8)).astype(np.float32) for n in (60, 300))
    best, by = best_ranks(documents, targets)
    for k, document in enumerate(documents):
        ranks = [1 + sum(other @ t > document @ t for other in documents) for t in targets]
        assert best[k] == min(ranks)
        assert by[k] == ranks.index(min(ranks))
    top = top_share(best, np.zeros(60, np.float32), 0.1)
    assert top.sum() == 6
    assert best[top].max() <= best[~top].min()


def test_presets_are_valid_and_mistakes_are_named(tmp_path: Path) -> None:
    assert preset_names() == ["betr", "dclm", "sample"]
    for name in preset_names():
        load_spec(name)
    with pytest.raises(WerpError, match=r"unknown key negatves \(did you mean negatives\?\)"):
        load_spec("dclm", ["negatves=3"])
    with pytest.raises(WerpError, match="label"):
        load_spec("dclm", ['positive="hq\\n__label__cc"'])
    with pytest.raises(WerpError, match="did you mean dclm"):
        load_spec("dclmm")
    with pytest.raises(WerpError, match="WERP_NOT_SET"):
        read_source(Source(path="${WERP_NOT_SET}/x", kind="jsonl"))
    (tmp_path / "x.jsonl").write_text('{"body": "a"}\n')
    with pytest.raises(WerpError, match=r"x\.jsonl:1: no field 'text'"):
        read_source(Source(path=str(tmp_path / "x.jsonl"), kind="jsonl"))


def test_the_job_runs_as_users_run_it(spec: Spec, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(json.dumps(spec.model_dump(mode="json", exclude={"betr"})))
    submit = [str(Path(sys.executable).parent / "spark-submit"), "jobs/train_classifier.py"]
    words = ["--spec", str(tmp_path / "spec.yaml"), "--output", str(tmp_path / "out")]
    done = subprocess.run(
        [*submit, *words], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "held-out ROC-AUC 1.0" in done.stdout + done.stderr
    done = subprocess.run(
        [sys.executable, "jobs/train_classifier.py", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--force" in done.stderr


def test_betr_end_to_end_with_the_light_embedder(tmp_path: Path) -> None:
    write_rows(tmp_path / "good.jsonl", GOOD, 60, 1, "good")
    write_rows(tmp_path / "bad.jsonl", BAD, 240, 2, "bad")
    items = [item("a", "train", k, f"why does the {word} hold?") for k, word in enumerate(GOOD * 3)]
    path = write_benchmark(tmp_path / "a.jsonl.gz", items)
    content: dict[str, Any] = {
        "name": "tiny",
        "betr": {
            "pool": [{"path": str(tmp_path / f"{name}.jsonl"), "kind": "jsonl"} for name in ("good", "bad")],
            "targets": [{"path": path, "kind": "benchmark"}],
            "min_targets": 5,
            "top": 0.2,
            "embedder": {"kind": "lsa", "dim": 8},
        },
        "fasttext": {"dim": 8, "bucket": 1000, "epoch": 20, "lr": 0.5},
    }
    card = train_classifier(validated(content, "here"), tmp_path / "out")
    assert card["rows"]["positive"] == 60
    chosen = card["held_out"]["groups"]["positive"]
    good = sum(rows for site, rows in chosen["largest"].items() if site.startswith("good"))
    assert good / chosen["rows"] >= 0.8
    assert card["held_out"]["roc_auc"] > 0.8
    assert card["betr"]["held_out_spearman_of_score_and_rank"] > 0.3
    assert card["betr"]["embedder"].startswith("lsa: ")
    content["betr"]["embedder"] = {"kind": "sentence", "path": str(tmp_path)}
    with pytest.raises(WerpError, match="no sentence-transformers model"):
        train_classifier(validated(content, "here"), tmp_path / "other")
    content["betr"]["embedder"] = {"kind": "lsa", "min_df": 10_000}
    with pytest.raises(WerpError, match=r"betr\.embedder: .*too few words in common for min_df 10000"):
        train_classifier(validated(content, "here"), tmp_path / "other")
    content["betr"]["targets"][0]["where"] = {"split": ["test"]}
    with pytest.raises(WerpError, match="evaluation data"):
        train_classifier(validated(content, "here"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_wrong_settings_of_a_spec_name_the_right_ones() -> None:
    for name, override, says in (
        ("dcml", None, r"--preset dcml: no such preset \(did you mean dclm"),
        ("nothing.yaml", None, r"--spec nothing\.yaml: no such file"),
        ("dclm", "fasttext.epoc=3", r"unknown key fasttext\.epoc \(did you mean epoch"),
        ("dclm", "fasttext.epoch=[", "not a YAML value"),
        ("dclm", "name.x=1", "name is no mapping"),
        ("betr", "betr.embedder.dims=3", r"unknown key betr\.embedder\.lsa\.dims \(did you mean dim"),
    ):
        with pytest.raises(WerpError, match=says):
            load_spec(name, [override] if override else [])


def test_a_place_that_is_no_folder_is_refused_before_anything_is_read(spec: Spec, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("keep me")
    for output in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(WerpError, match="file exists and is no folder"):
            train_classifier(spec, output)


def test_a_dry_run_prints_a_spec_to_start_from(tmp_path: Path) -> None:
    program = [sys.executable, str(ROOT / "jobs" / "train_classifier.py")]
    bare = {name: value for name, value in environment().items() if not name.startswith("WERP_")}
    for preset in preset_names():  # in a clone: no variable is set, no source is here
        done = subprocess.run(
            [*program, "--preset", preset, "--dry-run"], env=bare, capture_output=True, text=True, check=True
        )
        (tmp_path / f"{preset}.yaml").write_text(done.stdout)
        assert load_spec(str(tmp_path / f"{preset}.yaml")) == load_spec(preset)
        variables = set(re.findall(r"\$\{(\w+)\}", (PRESETS / f"{preset}.yaml").read_text("utf-8")))
        assert set(re.findall(r"^# Not set here: \$\{(\w+)\}, ", done.stdout, re.M)) == variables
    # What is missing is said at once, every variable and every source, before anything is read.
    for preset, lines in (("betr", 3), ("sample", 2)):
        words = ["--spec", str(tmp_path / f"{preset}.yaml"), "--output", str(tmp_path / "out")]
        done = subprocess.run(
            [*program, *words], env=bare, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 2
        assert len(re.findall(r"^  (?:the environment variable|kind \w+, path) ", done.stderr, re.M)) == lines
        assert "reading sources" not in done.stderr
        assert not (tmp_path / "out").exists()
    job = [*program, "--preset", "dclm"]
    named = [*job, "--dry-run", "--set", "description=café 😀"]
    done = subprocess.run(named, env=environment(), capture_output=True, text=True, check=True)
    (tmp_path / "mine.yaml").write_text(done.stdout)
    assert load_spec(str(tmp_path / "mine.yaml")).description == "café 😀"
    failed = subprocess.run(job, env=environment(), capture_output=True, text=True, check=False)
    assert (failed.returncode, "give --output" in failed.stderr) == (2, True)


def test_a_source_that_can_not_be_read_is_named_with_its_line(tmp_path: Path) -> None:
    whole = b"".join(b'{"text": "number %d"}\n' % k for k in range(20_000))
    packed, frame = gzip.compress(whole), zstandard.ZstdCompressor().compress(whole)
    files = {
        "flipped.jsonl.gz": (packed[:300] + bytes(100) + packed[400:], "can't be read"),
        "flipped.jsonl.zst": (frame[:20] + b"\xff" * 40 + frame[60:], "can't be read"),
        "cut.jsonl.zst": (frame[: len(frame) // 2], "can't be read: .*ended before"),
        "cut-small.jsonl.zst": (zstandard.ZstdCompressor().compress(whole[:2000])[:-20], "ended before"),
        "latin.jsonl": (b'{"text": "caf\xe9"}\n', "not UTF-8 text"),
        "deep.jsonl": (b'{"text": "a"}\n{"a": ' + b"[" * 100_000, r"deep\.jsonl:2: not JSON lines"),
        "long.jsonl": (b'{"text": "a", "n": ' + b"1" * 5000 + b"}", r"long\.jsonl:1: not JSON lines"),
        "broken.jsonl": (b'{"text": "a"}\n{"text\n', r"broken\.jsonl:2: not JSON lines"),
        "list.jsonl": (b'{"text": ["a"]}\n', r"list\.jsonl:1: field 'text' holds a list"),
        "latin.txt": (b"caf\xe9", "not UTF-8 text"),
        "none.parquet": (b"PAR1", "can't be read as Parquet"),
    }
    for name, (data, says) in files.items():
        (tmp_path / name).write_bytes(data)
        kind: Any = {".txt": "text", ".parquet": "parquet"}.get(Path(name).suffix, "jsonl")
        with pytest.raises(WerpError, match=says) as error:
            read_source(Source(path=str(tmp_path / name), kind=kind))
        assert name in str(error.value)
    (tmp_path / "two [1].jsonl.zst").write_bytes(frame + frame)
    assert len(read_source(Source(path=str(tmp_path / "two [1].jsonl.zst"), kind="jsonl"))) == 40_000
    benchmark = write_benchmark(tmp_path / "b.jsonl.gz", [{"task": "b", "split": "train", "id": 1}])
    with pytest.raises(WerpError, match=r"b\.jsonl\.gz:1: not an item of a benchmark"):
        read_source(Source(path=benchmark, kind="benchmark"))
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(WerpError, match=r"kind dropped, path .*tables of version None"):
        read_source(Source(path=str(tmp_path), kind="dropped"))


def test_addresses_and_characters_that_are_none_cost_no_training(spec: Spec, tmp_path: Path) -> None:
    with (tmp_path / "good.jsonl").open("a") as file:
        for k in range(10):
            row = {"url": f"http://[broken{k}\udc80/", "text": "\ud800 theorem proof lemma " * 9 + str(k)}
            file.write(json.dumps(row) + "\n")
    card = train_classifier(spec, tmp_path / "out")
    assert card["rows"]["positive"] == 110


def test_what_is_evaluated_was_not_trained_on_and_is_read_first(spec: Spec, tmp_path: Path) -> None:
    good = {"path": str(tmp_path / "good.jsonl"), "kind": "jsonl"}
    content = spec.model_dump(mode="json") | {"evaluate": {"again": good}}
    card = train_classifier(validated(content, "here"), tmp_path / "out")
    assert card["evaluate"]["sets"]["again"]["rows"] == card["held_out"]["groups"]["positive"]["rows"] == 20
    content["evaluate"] = {"positive": good}
    with pytest.raises(WerpError, match="'positive' is the name of the held-out rows"):
        validated(content, "here")
    content["evaluate"] = {"gone": {"path": str(tmp_path / "gone"), "kind": "jsonl"}}
    content["positives"] = content["evaluate"]["gone"] | {"path": "also gone"}
    content["positives"] = [content["positives"]]
    with pytest.raises(WerpError, match=f"{tmp_path}/gone: no such file"):
        train_classifier(validated(content, "here"), tmp_path / "other")


def test_an_output_that_is_a_link_or_here_keeps_its_model(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "real")
    train_classifier(spec, tmp_path / "link")
    before = (tmp_path / "real" / "model.ftz").read_bytes()
    train_classifier(spec, Path(), force=True)
    assert (tmp_path / "link" / "model.ftz").read_bytes() == before
    gone = spec.model_copy(update={"negatives": (Source(path="gone", kind="jsonl"),)})
    with pytest.raises(WerpError, match="gone: no such file"):
        train_classifier(gone, Path(), force=True)
    plain = spec.model_copy(update={"quantize": None})
    train_classifier(plain, Path(), force=True)
    names = {"model.bin", "card.json", "thresholds.json", "report.html", "lines.txt"}
    assert {path.name for path in (tmp_path / "real").iterdir()} == names
    assert (tmp_path / "link").is_symlink()


def test_a_killed_training_starts_again_and_leaves_nothing(spec: Spec, tmp_path: Path) -> None:
    content = spec.model_dump(mode="json", exclude={"betr"})
    (tmp_path / "spec.yaml").write_text(json.dumps(content))
    job = [sys.executable, str(ROOT / "jobs" / "train_classifier.py"), "--spec", str(tmp_path / "spec.yaml")]
    job += ["--output", str(tmp_path / "made" / "out"), "--set"]
    process = subprocess.Popen([*job, "fasttext.epoch=1000000"], env=environment())
    lines = tmp_path / "made" / "out" / "_work" / "made" / "lines.txt"
    for _ in range(600):
        if lines.is_file():
            break
        time.sleep(0.1)
    second = subprocess.run(
        [*job, "fasttext.epoch=5"], env=environment(), capture_output=True, text=True, check=False
    )
    process.kill()
    process.wait()
    assert second.returncode == 2
    assert "is writing here" in second.stderr
    subprocess.run([*job, "fasttext.epoch=5"], env=environment(), check=True)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["out"]
    assert not (tmp_path / "made" / "out" / "_work").exists()
