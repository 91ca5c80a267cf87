"""A whole run: files, schema, resume, limits, errors, the command line without Spark."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from eval_harness import __main__ as command
from eval_harness import progress
from eval_harness.adapters import load_model
from eval_harness.adapters.double import Double
from eval_harness.data import FolderSource, load
from eval_harness.errors import EvalError
from eval_harness.evaluate import Settings, evaluate, questions
from eval_harness.results import averages, beside, items_folder, read_items, read_scores, refuse_output
from eval_harness.run import run_tasks, write_scores
from eval_harness.table import scores_table
from eval_harness.tasks import TASKS
from tests.eval_harness.tiny import checkpoint, tokenizer

ARC, PIQA = TASKS["arc_easy"], TASKS["piqa"]
QUIET = Console(quiet=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two made-up tasks of forty items."""
    for name, split, choices in (
        ("arc_easy", "test", ["a", "bb", "ccc", "dddd"]),
        ("piqa", "validation", ["yes", "no"]),
    ):
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt") as file:
            for i in range(40):
                row = {"split": split, "id": str(i), "question": f"Number {i}?", "choices": choices}
                file.write(json.dumps({**row, "gold": i % len(choices)}) + "\n")
    return tmp_path


def first(context: str, continuation: str) -> float:
    """Prefers the first choice of the made-up tasks."""
    return -0.1 if continuation in {" a", " yes"} else -5.0 * len(continuation)


def test_a_run_writes_scores_items_and_a_picture_and_reads_them_back(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out/scores.json"
    scores = run_tasks(Double(first), [ARC, PIQA], FolderSource(folder), Settings(), output, "1", QUIET)
    write_scores(output, scores)
    assert read_scores(output) == scores
    assert json.loads(output.read_text())["schema"] == "eval_harness.scores.v2"
    assert output.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    result = scores.tasks["arc_easy"]
    assert (result.n, result.shots, result.version, result.split, result.chance) == (40, 5, 2, "test", 0.25)
    assert result.scores["raw"].accuracy == 0.25
    assert result.requests == 320
    assert scores.averages == {
        "world_knowledge": None,
        "language_understanding": None,
        "commonsense_reasoning": None,
        "macro": None,
    }
    items = read_items(tmp_path / "out/scores.items/arc_easy.parquet")
    assert items.num_rows == 40
    assert items["credit"].to_pylist() == [float(i % 4 == 0) for i in range(40)]
    assert len(set(items["prompt_sha256"].to_pylist())) == 40
    assert not list((tmp_path / "out").rglob("*partial*"))


def test_averages_are_the_papers_categories(folder: Path, tmp_path: Path) -> None:
    made = run_tasks(Double(first), [ARC], FolderSource(folder), Settings(), tmp_path / "s.json", "1", QUIET)
    from eval_harness.results import CATEGORIES, averages  # noqa: PLC0415

    base = made.tasks["arc_easy"]
    tasks = {}
    for i, name in enumerate(name for names in CATEGORIES.values() for name in names):
        score = base.scores["per_character"].model_copy(update={"accuracy": i / 10, "standard_error": 0.03})
        tasks[name] = base.model_copy(update={"task": name, "scores": {"per_character": score}})
    means = averages(tasks)
    values = {name: value and round(value.value, 6) for name, value in means.items()}
    assert values == {
        "world_knowledge": 0.1,
        "language_understanding": 0.35,
        "commonsense_reasoning": 0.65,
        "macro": 0.4,
    }
    assert means["macro"] is not None
    assert means["macro"].standard_error == pytest.approx(0.03 / 3)


def test_a_stopped_run_goes_on_and_other_settings_do_not_reuse_it(folder: Path, tmp_path: Path) -> None:
    output, source = tmp_path / "s.json", FolderSource(folder)
    run_tasks(Double(first), [ARC], source, Settings(), output, "1", QUIET)
    again = Double(first)
    scores = run_tasks(again, [ARC, PIQA], source, Settings(), output, "1", QUIET)
    assert not any("Question:" in context for context, _ in again.asked)  # only PIQA was asked
    assert set(scores.tasks) == {"arc_easy", "piqa"}
    for changed in (
        {"settings": Settings(shots=1)},
        {"settings": Settings(limit=10)},
        {"settings": Settings(form="multiple_choice")},
        {"model": Double(first, "another")},
        {"force": True},
    ):
        model = changed.get("model", Double(first))
        settings = changed.get("settings", Settings())
        force = bool(changed.get("force"))
        run_tasks(model, [ARC], source, settings, output, "1", QUIET, force)  # type: ignore[arg-type]
        assert model.asked, changed  # type: ignore[union-attr]
        run_tasks(Double(first), [ARC], source, Settings(), output, "1", QUIET)

    # Killed between another model's items and its result: the old result is not taken beside them.
    def killed(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eval_harness.run.write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            run_tasks(Double(first, "another"), [ARC], source, Settings(), output, "1", QUIET)
    model = Double(first)
    run_tasks(model, [ARC], source, Settings(), output, "1", QUIET)
    assert model.asked
    damaged = tmp_path / "s.items/arc_easy.json"
    damaged.write_text("{")
    model = Double(first)
    run_tasks(model, [ARC], source, Settings(), output, "1", QUIET)
    assert model.asked


def test_other_right_answers_are_not_scored_by_what_was_kept(folder: Path, tmp_path: Path) -> None:
    """The prompts are the same: nothing but the key tells."""
    output, source = tmp_path / "s.json", FolderSource(folder)
    then = run_tasks(Double(first), [ARC], source, Settings(), output, "1", QUIET)
    with gzip.open(folder / "arc_easy.jsonl.gz", "rt") as file:
        rows = [json.loads(line) | {"gold": 0} for line in file]
    with gzip.open(folder / "arc_easy.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    now = run_tasks(Double(first), [ARC], source, Settings(), output, "1", QUIET)
    assert [one.tasks["arc_easy"].accuracy.accuracy for one in (then, now)] == [0.25, 1.0]


def test_data_that_a_later_task_lacks_is_said_before_any_is_scored(folder: Path, tmp_path: Path) -> None:
    model = Double(first)
    (folder / "piqa.jsonl.gz").unlink()
    with pytest.raises(EvalError, match="piqa"):
        run_tasks(model, [ARC, PIQA], FolderSource(folder), Settings(), tmp_path / "s.json", "1", QUIET)
    assert not model.asked


def test_names_that_end_in_no_json_do_not_share_what_lies_beside_them(tmp_path: Path) -> None:
    assert items_folder(tmp_path / "scores.json") == tmp_path / "scores.items"
    found = [beside(tmp_path / name, ".png").name for name in ("run.seed1", "run.seed2", "a.b.json")]
    assert found == ["run.seed1.png", "run.seed2.png", "a.b.png"]


def test_a_report_that_is_not_there_is_said_before_the_work(folder: Path, tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "model", ["Number 1? a bb ccc"] * 9)
    command = f"run --model {model} --tasks arc_easy --data {folder} --output {tmp_path}/s.json"
    done = subprocess.run(
        [sys.executable, "-m", "eval_harness", *command.split(), "--contamination", "nowhere"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "error: contamination report nowhere" in done.stderr
    assert not (tmp_path / "s.items").exists()


def test_a_limit_draws_olmes_sample_and_too_many_shots_are_refused(folder: Path) -> None:
    data = load(ARC, FolderSource(folder))
    asked = questions(ARC, data, Settings(limit=10, shots=0))
    assert asked.items == tuple(random.Random(1234).sample(list(data.items), 10))
    assert asked.sha256 == questions(ARC, data, Settings(limit=10, shots=0)).sha256
    assert asked.sha256 != questions(ARC, data, Settings(limit=10, shots=1)).sha256
    assert questions(ARC, data, Settings(limit=99)).settings.limit == 99
    with pytest.raises(EvalError, match="--shots 6: arc_easy has 5 demonstrations"):
        questions(ARC, data, Settings(shots=6))
    with pytest.raises(EvalError, match="score gave"):
        evaluate(asked, Double(lambda context, text: float("nan")))


def test_a_place_that_can_not_be_written_to_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "config.json").write_text('{"format": "models.checkpoint.v2"}')
    for output, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "scores.png", "the picture gets that name"),
        (tmp_path / "file/scores.json", "can't be made"),
        (tmp_path / "file", "is no result of this command"),
        (tmp_path / "config.json", "is no result of this command"),
        (Path("/dev/null"), "is no result of this command"),
    ):
        with pytest.raises(EvalError, match=message):
            refuse_output(output)
    refuse_output(tmp_path / "new/scores.json")


def test_a_table_of_eighty_columns_cuts_no_figure(folder: Path, tmp_path: Path) -> None:
    scores = run_tasks(
        Double(first), [ARC, PIQA], FolderSource(folder), Settings(), tmp_path / "s.json", "1", QUIET
    )
    nine = {name: scores.tasks["piqa"].model_copy(update={"task": name}) for name in TASKS}
    screen = io.StringIO()
    Console(file=screen, width=80).print(
        scores_table(scores.model_copy(update={"tasks": nine, "averages": averages(nine)}))
    )
    assert "…" not in screen.getvalue()


def test_a_tokenizer_of_another_model_is_named(tmp_path: Path) -> None:
    texts = ["Question: Number 1?\nAnswer: a bb ccc"] * 3
    model = checkpoint(tmp_path / "model", texts)
    other = tokenizer(["a tokenizer with many more entries of other words " * 3, *texts], 5000)
    other.add_tokens(["zzz" + str(i) for i in range(500)])
    other.save(str(model / "tokenizer.json"))
    with pytest.raises(EvalError, match=r"tokenizer\.json gives the id \d+, where the model has"):
        load_model(str(model), "cpu").score("Question: zzz499", [" a"])


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"scores.json: No such file"):
        read_scores(tmp_path / "scores.json")
    (tmp_path / "scores.json").write_text('{"schema": "eval_harness.scores.v1", "tasks": {}}')
    with pytest.raises(EvalError, match=r"scores.json: schema: .*not a eval_harness.scores.v2 file"):
        read_scores(tmp_path / "scores.json")


def test_the_command_line_scores_a_checkpoint_without_spark(folder: Path, tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "model", ["Question: Number 1?\nAnswer: a bb ccc"] * 3, window=64)
    code = "import sys; sys.modules['pyspark'] = None; from eval_harness.__main__ import main; main()"
    words = [sys.executable, "-c", code, "run", "--model", str(model), "--data", str(folder)]
    scores = tmp_path / "scores.json"
    arguments = ["--tasks", "arc_easy,piqa", "--limit", "8", "--output", str(scores), "--device", "cpu"]
    done = subprocess.run([*words, *arguments], capture_output=True, text=True, check=True)
    assert "chance 25.0%" in done.stdout
    assert "items with fewer shots, window too small" in done.stdout
    task = read_scores(scores).tasks["arc_easy"]
    assert (task.n, task.limit, task.shots, task.shots_dropped) == (8, 8, 5, 8)
    assert read_scores(scores).model["shares_prefix"]
    again = subprocess.run([*words, *arguments], capture_output=True, text=True, check=True)
    assert "arc_easy: taken from the run before" in again.stdout
    dry = subprocess.run([*words, *arguments, "--dry-run"], capture_output=True, text=True, check=True)
    assert "characters apart" in dry.stdout
    for extra, message in (
        (["--tasks", "arc_easi"], "error: --tasks: 'arc_easi' is no task (did you mean arc_easy?)\n"),
        (["--form", "letters"], "error: --form: 'letters' is neither cloze nor mc\n"),
        (["--model", str(tmp_path)], f"error: --model {tmp_path}: {tmp_path}/config.json: no such file; "
         "name a finished checkpoint or a Hugging Face folder\n"),
            (["--model", str(scores)], f"error: --model {scores}: {scores}/config.json: Not a directory; "
             "name a checkpoint or Hugging Face folder\n"),
    ):  # fmt: skip
        failed = subprocess.run([*words, *arguments, *extra], capture_output=True, text=True, check=False)
        assert (failed.returncode, failed.stderr) == (1, message)


def test_how_far_it_is_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, where that is no terminal: a log was silent until a task had ended."""
    monkeypatch.setattr("eval_harness.progress.FIRST", 0.05)
    monkeypatch.setattr("eval_harness.progress.EVERY", 0.05)

    def slowly(context: str, continuation: str) -> float:
        time.sleep(0.002)
        return first(context, continuation)

    run_tasks(Double(slowly), [ARC], FolderSource(folder), Settings(), tmp_path / "scores.json", "1", QUIET)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("arc_easy: ")]
    counts = [int(line.split()[1]) for line in told]
    assert len(told) > 2
    assert counts == sorted(counts)
    assert 0 < counts[-1] <= 80
    assert re.fullmatch(r"arc_easy: \d+ of 80 items asked, \d+ s, about \d+ s left", told[-1])
    monkeypatch.undo()
    assert (progress.FIRST, progress.EVERY) == (1.5, 10.0)


@pytest.mark.parametrize(
    ("raised", "status", "message"),
    [
        (
            KeyboardInterrupt(),
            130,
            "stopped; finished tasks are kept: the same command goes on with the next",
        ),
        (
            OSError(28, "No space left on device", "s.json"),
            1,
            "s.json: No space left on device; name",
        ),
        (MemoryError("cannot allocate"), 1, "the memory is too small (cannot allocate); give --dtype"),
    ],
)
def test_what_stops_a_run_ends_it_with_a_sentence(
    raised: BaseException, status: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    model = checkpoint(tmp_path / "model", ["Question: Number 1?\nAnswer: a bb ccc"] * 3)

    def stopped(*_: object) -> None:
        raise raised

    monkeypatch.setattr(command, "run_tasks", stopped)
    words = ["run", "--model", str(model), "--output", str(tmp_path / "s.json"), "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["eval_harness", *words])
    with pytest.raises(SystemExit) as ended:
        command.main()
    said = capsys.readouterr().err + str(ended.value.code)
    assert message in said
    assert (130 if status == 130 else 1) == (ended.value.code if isinstance(ended.value.code, int) else 1)
