"""Intervals against closed forms and simulations; verdicts by the rule; decisions as in DataDecide."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from scipy import stats

from eval_harness.adapters.double import Double
from eval_harness.bench_statistics import WORLDS, experiment, simulate
from eval_harness.compare import Comparison, Row, Size, compare, decide, verdict_line
from eval_harness.data import FolderSource, load
from eval_harness.decide import decide as decide_folder
from eval_harness.decide import task as decide_task
from eval_harness.errors import EvalError
from eval_harness.evaluate import Settings
from eval_harness.results import items_folder, read_items, refuse_output
from eval_harness.run import run_tasks, write_scores
from eval_harness.statistics import (
    bootstrap,
    crossed_t,
    decision_accuracy,
    item_variance,
    noise_floor,
    signal_to_noise,
)
from eval_harness.tasks import TASKS

RNG = np.random.default_rng(0)


def test_without_item_noise_the_interval_is_the_paired_t() -> None:
    d = np.array([0.01, 0.03, 0.02, 0.05])
    found = crossed_t([np.repeat(d[:, None], 50, axis=1)])
    low, high = stats.t.interval(0.95, 3, loc=d.mean(), scale=stats.sem(d))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.from_items == 0.0


def test_a_resample_takes_the_same_seeds_in_every_task() -> None:
    """What a seed gains in one task and loses in the other is no noise of the mean."""
    gain = np.repeat(np.array([0.1, -0.2, 0.3])[:, None], 20, axis=1)
    assert np.abs(bootstrap([gain, -gain], draws=500)).max() < 1e-12
    assert np.std(bootstrap([gain, gain], draws=500)) > 0.05
    assert crossed_t([gain, -gain]).from_seeds == pytest.approx(0.0, abs=1e-12)


def test_one_seed_leaves_the_items_error_alone() -> None:
    values = RNG.normal(size=(1, 400))
    found = crossed_t([values])
    assert found.from_seeds is None
    assert found.from_items == pytest.approx(stats.sem(values[0]))


def test_the_parts_are_those_of_a_two_way_analysis_of_variance() -> None:
    """On effects drawn with known variances, the mean of the estimates is their sum's variance."""
    seeds, items, left, n, m = 0.02, 0.3, 0.5, 5, 200
    parts = []
    for _ in range(1500):
        matrix = (
            RNG.normal(size=(n, 1)) * seeds + RNG.normal(size=(1, m)) * items + RNG.normal(size=(n, m)) * left
        )
        found = crossed_t([matrix])
        assert found.from_seeds is not None
        parts.append(found.from_seeds**2 + item_variance(matrix))
    truth = seeds**2 / n + items**2 / m + left**2 / (n * m)
    assert np.mean(parts) == pytest.approx(truth, rel=0.05)


def test_macro_weighs_tasks_alike() -> None:
    small, large = np.full((3, 10), 0.2), np.zeros((3, 1000))
    assert crossed_t([small, large]).difference == pytest.approx(0.1)
    assert bootstrap([small, large], 100).mean() == pytest.approx(0.1)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_interval_covers_and_the_bootstrap_covers_less(seeds: int) -> None:
    """A small version of the bench: 300 experiments, bounds at three binomial standard errors."""
    null = experiment(WORLDS[2], seeds, simulations=300, draws=100 if seeds == 3 else 0)
    error = 3 * math.sqrt(0.95 * 0.05 / 300)
    assert abs(null["coverage"] - 0.95) < 0.02 + error
    assert null["better"] < 0.025 + 3 * math.sqrt(0.025 * 0.975 / 300)
    if seeds == 3:
        assert null["bootstrap_coverage"] < null["coverage"] - 0.05


def test_the_simulations_truth_is_the_mean_of_what_it_draws() -> None:
    world = WORLDS[1]
    drawn = [
        np.mean([matrix.mean() for matrix in simulate(world, 3, np.random.default_rng(i))])
        for i in range(400)
    ]
    assert np.mean(drawn) == pytest.approx(world.truth(), abs=4 * stats.sem(drawn))


def test_the_bootstrap_of_many_seeds_and_items_is_the_normal_interval() -> None:
    matrix = RNG.normal(size=(40, 1)) * 0.1 + RNG.normal(size=(40, 500)) * 0.5
    means = bootstrap([matrix], 4000)
    named = crossed_t([matrix])
    low, high = np.quantile(means, (0.025, 0.975))
    assert high - low == pytest.approx(named.high - named.low, rel=0.15)


def test_noise_floor_is_the_gap_of_same_filter_runs() -> None:
    sides = [RNG.normal(size=5) * 0.01, RNG.normal(size=5) * 0.01]
    expected = math.sqrt(2 * np.mean([s.var(ddof=1) for s in sides]) / 5)
    assert noise_floor(sides) == pytest.approx(expected)
    assert noise_floor([np.array([0.1]), np.array([0.2])]) is None


def size(low: float, high: float, seeds: int = 3, floor: float | None = 0.001, parameters: int = 1) -> Size:
    middle = (low + high) / 2
    row = Row(
        a=middle, b=0, difference=middle, low=low, high=high, from_seeds=0.1, from_items=0.1,
        bootstrap_low=low, bootstrap_high=high, probability=0.5,
    )  # fmt: skip
    return Size(parameters=parameters, seeds=seeds, paired_by="seed", macro=row, tasks={}, noise_floor=floor)


@pytest.mark.parametrize(
    ("sizes", "verdict", "reason"),
    [
        ([size(0.01, 0.03)], "better", "leaves zero out"),
        ([size(-0.03, -0.01)], "worse", "leaves zero out"),
        ([size(-0.01, 0.03)], "undecided", "holds zero"),
        ([size(0.01, 0.03, seeds=2)], "undecided", "2 seeds at 1 parameters, 3 are needed"),
        ([size(0.01, 0.03, floor=0.05)], "undecided", "noise floor"),
        ([size(-0.03, 0.01), size(0.01, 0.03, parameters=2)], "undecided", "the sign is another at 1"),
        ([size(0.001, 0.01), size(0.01, 0.03, parameters=2)], "better", "leaves zero out"),
        ([size(0.001, 0.01, seeds=1), size(0.01, 0.03, parameters=2)], "undecided", "1 seeds at 1"),
    ],
)
def test_verdicts_follow_the_rule(sizes: list[Size], verdict: str, reason: str) -> None:
    said, scope, reasons = decide(sizes)
    assert said == verdict
    assert any(reason in text for text in reasons)
    assert scope == ("at this size only" if len(sizes) == 1 else "with one sign at 2 sizes")


def test_signal_and_decisions_are_their_definitions() -> None:
    scores = {"a": [0.40, 0.42], "b": [0.50, 0.54], "c": [0.46, 0.46]}
    signal, noise, ratio = signal_to_noise(scores)
    centre = (0.41 + 0.52 + 0.46) / 3
    assert signal == pytest.approx((0.52 - 0.41) / centre)
    assert noise == pytest.approx(
        np.mean([np.std([0.40, 0.42], ddof=1), np.std([0.5, 0.54], ddof=1), 0]) / centre
    )
    assert ratio == pytest.approx(signal / noise)
    small = {"a": [0.3, 0.1], "b": [0.2, 0.3], "c": [0.1, 0.2]}  # seed 1: a > b > c, seed 2: b > c > a
    share, spread = decision_accuracy(small, scores)  # target b > c > a
    assert share == pytest.approx((1 / 3 + 1) / 2)
    assert spread == pytest.approx(np.std([1 / 3, 1], ddof=1))
    # It is Kendall's tau rescaled to 0..1.
    tau = stats.kendalltau([0.3, 0.2, 0.1], [0.41, 0.52, 0.46]).statistic
    assert (tau + 1) / 2 == pytest.approx(1 / 3)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recipes at two sizes, three seeds each: `good` is right on more items, as RECIPE/SIZE/SEED."""
    root = tmp_path_factory.mktemp("runs")
    made = {"split": "test", "choices": ["a", "b"]}
    rows = [{**made, "id": str(i), "question": f"Number {i}?", "gold": i % 2} for i in range(300)]
    lines = [json.dumps(row) + "\n" for row in rows]
    (root / "arc_easy.jsonl").write_text("".join(lines))
    task, source = TASKS["arc_easy"], FolderSource(root)
    golden = {f"Question: {it.question}\nAnswer:": " ab"[it.gold + 1] for it in load(task, source).items}
    for recipe, share in (("good", 0.8), ("plain", 0.5)):
        for parameters in (10, 20):
            for seed in (1, 2, 3):
                rng = np.random.default_rng([seed, parameters, int(share * 10)])
                knows = {context: rng.random() < share for context in golden}

                def log_p(context: str, text: str, knows: dict[str, bool] = knows) -> float:
                    last = context.rsplit("\n\n", maxsplit=1)[-1]
                    right = text.strip() == golden.get(last)
                    return -1.0 if right == knows.get(last, True) else -2.0

                model = Double(log_p)
                model.about = lambda p=parameters, s=seed, r=recipe: {  # type: ignore[method-assign,misc]
                    "name": r, "parameters": p, "seed": s,
                }  # fmt: skip
                path = root / recipe / f"{parameters}M" / str(seed) / "scores.json"
                quiet = Console(quiet=True)
                write_scores(path, run_tasks(model, [task], source, Settings(), path, "1", quiet))
    return root


def test_compare_reads_runs_and_says_better_at_two_sizes(runs: Path) -> None:
    a, b = (sorted((runs / name).glob("*/*/scores.json")) for name in ("good", "plain"))
    found = compare(a, b, draws=500)
    assert (found.verdict, found.scope) == ("better", "with one sign at 2 sizes")
    assert [one.parameters for one in found.sizes] == [10, 20]
    macro = found.sizes[-1].macro
    assert macro.low < 0.3 < macro.high
    assert macro.probability == 1.0
    assert found.sizes[0].paired_by == "seed"
    one_size = [p for p in a if "10M" in str(p)], [p for p in b if "10M" in str(p)]
    assert verdict_line(compare(*one_size, draws=500)) == "A is better than B, at this size only"
    assert compare(b, a, draws=500).verdict == "worse"
    assert compare(one_size[0][:2], one_size[1][:2], draws=500).verdict == "undecided"
    same = compare(one_size[0], one_size[0], draws=500)
    assert (same.verdict, same.sizes[0].macro.difference) == ("undecided", 0.0)
    for metric in ("bits_per_byte", "correct_prob"):
        assert compare(*one_size, metric=metric, draws=500).sizes[0].macro.difference > 0


def test_runs_are_paired_by_their_seeds_in_any_order(runs: Path) -> None:
    """Items and seeds of the same number differ alike: a pair of other seeds has another spread."""
    a, b = (sorted((runs / name).glob("10M/*/scores.json")) for name in ("good", "plain"))
    expected = compare(a, b, draws=200)
    tables = [[items_folder(path) / "arc_easy.parquet" for path in side] for side in (a, b)]
    seeds = [[read_items(table)["credit"].to_numpy().mean() for table in side] for side in tables]
    differences = np.array(seeds[0]) - np.array(seeds[1])
    assert expected.sizes[0].macro.from_seeds == pytest.approx(differences.std(ddof=1) / math.sqrt(3))
    for order in ([1, 0, 2], [2, 0, 1], [2, 1, 0]):
        for sides in ((a, [b[i] for i in order]), ([a[i] for i in order], b)):
            assert compare(*sides, draws=200).sizes == expected.sizes


def test_runs_of_one_seed_are_not_three_seeds(runs: Path, tmp_path: Path) -> None:
    """Three checkpoints of one run, say: they would have no noise between them."""
    sides = []
    for name in ("good", "plain"):
        sides.append([])
        for number, path in enumerate(sorted((runs / name).glob("10M/*/scores.json"))):
            there = tmp_path / name / str(number)
            shutil.copytree(path.parent, there)
            written = json.loads(path.read_text())
            written["model"]["seed"] = 1
            (there / "scores.json").write_text(json.dumps(written))
            sides[-1].append(there / "scores.json")
    found = compare(*sides, draws=200)
    assert (found.verdict, found.sizes[0].seeds, found.sizes[0].paired_by) == ("undecided", 1, "order")


def test_contaminated_items_are_left_out_of_both_sides(runs: Path, tmp_path: Path) -> None:
    """With every item on which the sides differ for A's good left out, A is no longer better."""
    a, b = (sorted((runs / name).glob("10M/*/scores.json")) for name in ("good", "plain"))
    gains: set[str] = set()
    for one, other in zip(a, b, strict=True):
        tables = [read_items(items_folder(path) / "arc_easy.parquet").to_pylist() for path in (one, other)]
        gains |= {x["item"] for x, y in zip(*tables, strict=True) if x["credit"] > y["credit"]}
    rows = [{"task": "arc_easy", "item": item} for item in sorted(gains)]
    halves = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, part in zip(halves, (rows[::2], rows[1::2]), strict=True):
        path.write_text(json.dumps({"items": part}))
    assert compare(a, b, draws=200).sizes[0].macro.difference > 0
    clean = compare(a, b, draws=200, without=halves)
    assert clean.sizes[0].macro.difference <= 0
    assert clean.remarks == [f"arc_easy: {len(gains)} of 300 items left out as contaminated"]
    every = tmp_path / "all.json"
    every.write_text(json.dumps({"items": [{"task": "arc_easy", "item": str(i)} for i in range(300)]}))
    with pytest.raises(EvalError, match="every item of arc_easy is contaminated"):
        compare(a, b, draws=200, without=[every])


def test_runs_that_can_t_be_compared_are_refused(runs: Path, tmp_path: Path) -> None:
    a, b = (sorted((runs / name).glob("10M/*/scores.json")) for name in ("good", "plain"))
    with pytest.raises(EvalError, match="3 runs of A and 2 of B"):
        compare(a, b[:2])
    with pytest.raises(EvalError, match="needs runs on both sides"):
        compare(a, [])
    with pytest.raises(EvalError, match="is none of accuracy"):
        compare(a, b, metric="f1")
    with pytest.raises(EvalError, match=r"only B has models of .'20'"):
        compare(a, [*b, *sorted((runs / "plain").glob("20M/*/scores.json"))])
    with pytest.raises(EvalError, match="score the same weights"):
        compare([a[0], a[1], a[0]], b)
    (tmp_path / "picture.json").write_bytes(b"\x89PNG")
    with pytest.raises(EvalError, match=r"picture\.json: not a eval_harness"):
        compare([tmp_path / "picture.json"], b[:1])
    model, path = Double(lambda context, text: -len(text)), tmp_path / "s.json"
    model.about = lambda: {"name": "x", "parameters": 10, "seed": 1}  # type: ignore[method-assign]
    other = run_tasks(
        model, [TASKS["arc_easy"]], FolderSource(runs), Settings(shots=1), path, "1", Console(quiet=True)
    )
    write_scores(path, other)
    with pytest.raises(EvalError, match="arc_easy was not asked the same questions"):
        compare([path], b[:1])


def test_a_table_of_another_run_or_other_answers_is_refused(runs: Path, tmp_path: Path) -> None:
    """A run in an earlier one's place that was stopped has replaced its tables, and not its scores."""
    a, b = (sorted((runs / name).glob("10M/*/scores.json")) for name in ("good", "plain"))
    shutil.copytree(a[0].parent, tmp_path / "one")
    mixed = tmp_path / "one/scores.json"
    table = tmp_path / "one/scores.items/arc_easy.parquet"
    shutil.copy(items_folder(b[1]) / "arc_easy.parquet", table)
    with pytest.raises(EvalError, match="arc_easy's table of items is another run's"):
        compare([mixed], b[:1])
    pq.write_table(read_items(items_folder(a[0]) / "arc_easy.parquet").drop_columns("bytes"), table)
    with pytest.raises(EvalError, match="lacks values"):
        compare([mixed], b[:1])
    lines = [json.loads(line) for line in (runs / "arc_easy.jsonl").read_text().splitlines()]
    (tmp_path / "arc_easy.jsonl").write_text(
        "".join(json.dumps(row | {"gold": 1 - row["gold"]}) + "\n" for row in lines)
    )
    model, path = Double(lambda context, text: -len(text)), tmp_path / "s.json"
    model.about = lambda: {"name": "x", "parameters": 10, "seed": 1}  # type: ignore[method-assign]
    source, quiet = FolderSource(tmp_path), Console(quiet=True)
    write_scores(path, run_tasks(model, [TASKS["arc_easy"]], source, Settings(), path, "1", quiet))
    with pytest.raises(EvalError, match="other right answers"):
        compare([path], b[:1])


def test_what_the_sides_were_run_with_differently_is_said(runs: Path, tmp_path: Path) -> None:
    a, b = (sorted((runs / name).glob("10M/*/scores.json")) for name in ("good", "plain"))
    shutil.copytree(a[0].parent, tmp_path / "one")
    written = json.loads(a[0].read_text())
    written["model"]["dtype"] = "bfloat16"
    written["tasks"]["arc_easy"]["shots_dropped"] = 7
    (tmp_path / "one/scores.json").write_text(json.dumps(written))
    assert compare([tmp_path / "one/scores.json"], b[:1], draws=200).remarks == [
        "dtype of A bfloat16, of B None",
        "arc_easy: 7 items of A and 0 of B had fewer shots, window too small",
    ]
    assert compare(a, b, draws=200).remarks == []


def test_the_command_line_compares_and_decides(runs: Path, tmp_path: Path) -> None:
    a, b = ([str(p) for p in sorted((runs / n).glob("*/*/scores.json"))] for n in ("good", "plain"))
    command = [sys.executable, "-m", "eval_harness", "compare", "--draws", "200"]
    output = tmp_path / "c.json"
    done = subprocess.run(
        [*command, "--output", str(output), *a, "--", *b], capture_output=True, text=True, check=True
    )
    assert "A is better than B, with one sign at 2 sizes" in done.stdout
    assert Comparison.model_validate_json(output.read_text()).verdict == "better"
    assert output.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    output.unlink()  # with the flags last, as docs/evaluation.md has it
    subprocess.run([*command, *a, "--", *b, "--output", str(output)], capture_output=True, check=True)
    assert Comparison.model_validate_json(output.read_text()).verdict == "better"
    refuse_output(output)  # its own may be replaced
    before = Path(a[0]).read_bytes()
    done = subprocess.run(
        [*command, *a, "--", *b, "--output", a[0]], capture_output=True, text=True, check=False
    )
    assert "one of the scores files" in done.stderr
    assert Path(a[0]).read_bytes() == before
    done = subprocess.run(
        [*command, *a, "--", b[0], "--", *b[1:]], capture_output=True, text=True, check=False
    )
    assert "give -- once" in done.stderr
    found = decide_folder(runs)
    assert found.target == "20M"
    assert found.sizes["10M"]["mean"].decision_accuracy == 1.0
    assert found.sizes["20M"]["mean"].decision_accuracy is None
    with pytest.raises(EvalError, match=r"no RECIPE/SIZE/SEED/scores\.json"):
        decide_folder(tmp_path)


def test_decisions_need_the_same_questions_and_other_weights(runs: Path, tmp_path: Path) -> None:
    for name in ("good", "plain"):
        shutil.copytree(runs / name, tmp_path / name)
    path = tmp_path / "plain/10M/2/scores.json"
    written = json.loads(path.read_text())

    def write(text: str) -> None:
        path.write_text(text.replace('"model": {', '"model": {"sha256": "abc", '))

    other = written["tasks"]["arc_easy"] | {"prompt_sha256": "0" * 64}
    path.write_text(json.dumps(written | {"tasks": {"arc_easy": other}}))
    with pytest.raises(EvalError, match="arc_easy was not asked the same questions"):
        decide_folder(tmp_path)
    path.write_text(json.dumps(written | {"tasks": {}}))
    with pytest.raises(EvalError, match="no task was scored in all"):
        decide_folder(tmp_path)
    for seed in (1, 2):
        path = tmp_path / f"plain/10M/{seed}/scores.json"
        write(json.dumps(written))
    with pytest.raises(EvalError, match="two seeds of plain score the same weights"):
        decide_folder(tmp_path)


def test_what_no_seed_or_recipe_tells_apart_has_no_ratio_and_no_share() -> None:
    same = {"a": [0.4, 0.4], "b": [0.4, 0.4]}
    assert signal_to_noise(same) == (0.0, 0.0, None)
    assert decision_accuracy(same, same) == (None, None)
    nothing = {"a": [0.0, 0.0], "b": [0.0, 0.0]}
    assert decide_task(nothing, nothing, is_target=True).signal is None
