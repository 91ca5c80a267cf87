"""In-context regression: golden numbers of the closed form, the layer trained to it, text probes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from eval_harness.adapters import linear_regression
from eval_harness.adapters.double import Double
from eval_harness.probe.closed_form import Limit, gradient_flow
from eval_harness.probe.language import GRID, numbers, predictions, probe, problem, ridge
from models.layers.linear_self_attention import LinearSelfAttention
from tests.eval_harness.tiny import checkpoint

ODD = Limit(np.array([0.5, 0.8, 1.0, 1.3, 1.7]), 20)


def test_the_limit_has_the_golden_numbers() -> None:
    assert ODD.gammas == pytest.approx([0.79, 1.105, 1.315, 1.63, 2.05])
    assert (ODD.gammas**-2).sum() == pytest.approx(3.613917, abs=1e-6)
    assert ODD.value == pytest.approx(1.378779, abs=1e-6)
    assert ODD.value * ODD.key_query == pytest.approx(1 / ODD.gammas)
    assert ODD.largest_sigma == pytest.approx(0.6605, abs=1e-4)
    risks = {10: 2.106128, 20: 1.197337, 40: 0.742941, 100: 0.470303, np.inf: 0.288545}
    for m, expected in risks.items():
        assert ODD.risk(m) == pytest.approx(expected, abs=1e-6)
    # At M = N the risk is twice the least training loss, (1/N) tr[(Lambda + tr(Lambda) I) Gamma^-1 Lambda].
    least = ((ODD.lambdas + 5.3) / ODD.gammas * ODD.lambdas).sum() / 20
    assert ODD.risk(20) == pytest.approx(least)


@pytest.mark.parametrize(
    ("d", "n", "gamma", "value", "risks"),
    [
        (20, 40, 1.525, 1.71247, {40: 6.88525, 80: 4.62779, np.inf: 2.37033}),
        (20, 100, 1.21, 1.92249, {100: 3.47107, np.inf: 0.60242}),
        (5, 20, 1.3, 1.31151, {20: 1.15385}),
    ],
)
def test_the_isotropic_limit_has_the_golden_numbers(
    d: int, n: int, gamma: float, value: float, risks: dict[float, float]
) -> None:
    limit = Limit(np.ones(d), n)
    assert limit.gammas == pytest.approx(gamma)
    assert limit.value == pytest.approx(value, abs=1e-5)
    for m, expected in risks.items():
        assert limit.risk(m) == pytest.approx(expected, abs=1e-5)


def test_the_risk_is_what_the_predictor_makes_of_drawn_prompts() -> None:
    generator = torch.Generator().manual_seed(0)
    for m in (10, 40):
        drawn = linear_regression.draw(ODD.lambdas, m, 100_000, generator)
        predicted = ODD.predict(drawn.x.numpy(), drawn.y.numpy(), drawn.query.numpy())
        errors = (predicted - drawn.label.numpy()) ** 2
        assert errors.mean() == pytest.approx(ODD.risk(m), abs=4 * errors.std() / len(errors) ** 0.5)


def test_gradient_flow_ends_at_the_limit() -> None:
    u, block = gradient_flow(ODD, ODD.largest_sigma / 2, time=400, step=0.05)
    assert u == pytest.approx(ODD.value, abs=1e-5)
    assert np.linalg.norm(block - ODD.key_query) < 1e-5
    # Euler's rule with steps of 2e-3 had ended at 1.37861 and 1.6e-4: its error, not the flow's.
    assert u == pytest.approx(1.37861, abs=2e-4)
    # Balancedness: u^2 - ||U||^2 is conserved, and is 0 from the start.
    assert u**2 == pytest.approx((block**2).sum(), abs=1e-4)


def test_the_layer_is_its_definition_and_divides_by_its_own_length() -> None:
    torch.manual_seed(1)
    layer = LinearSelfAttention(3, sigma=0.5, theta=torch.randn(3, 3))
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    for n in (4, 9):
        x, y, query = torch.randn(2, n, 3), torch.randn(2, n), torch.randn(2, 3)
        for b in range(2):
            e = torch.zeros(4, n + 1)
            for i in range(n):
                e[:3, i], e[3, i] = x[b, i], y[b, i]
            e[:3, n] = query[b]
            expected = e + layer.value @ e @ (e.T @ layer.key_query @ e) / n
            assert layer.predict(x, y, query)[b].item() == pytest.approx(expected[3, n].item(), rel=1e-4)


def test_the_trained_layer_reaches_the_limit_and_fails_under_covariate_shift() -> None:
    limit = Limit(np.ones(5), 20)
    layer = linear_regression.train(limit, steps=400, batch=512)
    aim = np.diag(1 / limit.gammas)
    apart = np.linalg.norm(linear_regression.preconditioner(layer) - aim) / np.linalg.norm(aim)
    assert apart < 0.05
    for m in (10, 20, 80):
        assert linear_regression.risk(layer, limit.lambdas, m, 40_000) == pytest.approx(
            limit.risk(m), rel=0.06
        )
    # x twice as large: what was 1 - R^2 of a few percent becomes an error larger than predicting zero.
    own = linear_regression.risk(layer, limit.lambdas, 1000, 10_000) / 5
    shifted = linear_regression.risk(layer, limit.lambdas, 1000, 10_000, scale=2.0) / (5 * 4)
    assert own < 0.15
    assert shifted == pytest.approx(limit.shifted_ratio(2.0), rel=0.1)
    assert shifted > 1


def test_covariate_shift_has_the_golden_numbers() -> None:
    limit = Limit(np.ones(5), 100)
    assert limit.shifted_ratio(2) == pytest.approx(7.693, abs=1e-3)
    assert limit.shifted_ratio(3) == pytest.approx(56.11, abs=1e-2)
    endless = Limit(np.ones(5), 10**9)
    assert [endless.shifted_ratio(c) for c in (2, 3, 0.5)] == pytest.approx([9, 64, 0.5625], abs=1e-5)
    with pytest.raises(ValueError, match="isotropic"):
        ODD.shifted_ratio(2)


def solve(text: str) -> float:
    """Read a probe's prompt and answer by least squares."""
    lines = [line.split(" y:") for line in text.split("\n")]
    x = np.array([[float(v) for v in line[0].removeprefix("x: ").split()] for line in lines])
    y = np.array([float(line[1]) for line in lines[:-1]])
    return float(x[-1] @ np.linalg.lstsq(x[:-1], y, rcond=None)[0])


def test_a_model_that_regresses_is_told_from_one_that_knows_the_mean() -> None:
    def regress(context: str, text: str) -> float:
        return -200 * abs(float(text) - solve(context))

    def mean(context: str, text: str) -> float:
        labels = [float(line.split(" y: ")[1]) for line in context.split("\n")[:-1]]
        return -200 * abs(float(text) - float(np.mean(labels)))

    good = probe(Double(regress), (1, 3), (2, 16), prompts=40)
    plain = probe(Double(mean), (1, 3), (2, 16), prompts=40)
    for point, other in zip(good, plain, strict=True):
        assert (point.ridge, point.mean) == (other.ridge, other.mean)  # the same problems
        assert other.model == pytest.approx(point.mean, abs=0.02)
    assert [point.model for point in good if point.examples == 16] == pytest.approx([0, 0], abs=0.03)
    assert [point.ridge for point in good if point.examples == 16] == pytest.approx([0, 0], abs=0.03)
    assert all(point.mean > 0.5 for point in good)


def test_prompts_and_predictions_are_their_definitions() -> None:
    one = problem(2, 2, np.random.default_rng(0))
    lines = one.text.split("\n")
    assert len(lines) == 3
    assert lines[0] == f"x: {numbers(one.x[0])} y: {one.y[0]:.1f}"
    assert lines[-1].endswith(" y:")
    assert numbers([-0.0, 1.25]) == "0.0 1.2"

    class Two(Double):
        def score(self, context: str, continuations: Sequence[str]) -> list[float]:
            return [{" -1.0": np.log(0.25), " 2.0": np.log(0.75)}.get(text, -1e9) for text in continuations]

    assert predictions(Two(lambda context, text: 0.0), [one]) == pytest.approx([0.25 * -1 + 0.75 * 2])
    exact = problem(3, 40, np.random.default_rng(1))
    assert ridge(exact) == pytest.approx(exact.label, abs=0.15)
    assert GRID[0] <= exact.y.min()


def test_the_command_line_probes_a_checkpoint(tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "model", ["x: 0.3 -1.2 y: 0.5\nx: 1.0 2.0 y:"] * 3, window=512)
    command = [sys.executable, "-m", "eval_harness", "probe", "--model", str(model), "--prompts", "3"]
    output = tmp_path / "probe.json"
    small = ["--dimensions", "1,2", "--examples", "2,4", "--output", str(output), "--device", "cpu"]
    done = subprocess.run([*command, *small], capture_output=True, text=True, check=True)
    assert done.stdout.count("ridge") == 4
    assert len(json.loads(output.read_text())["points"]) == 4
    assert output.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    failed = subprocess.run(
        [*command, *small, "--examples", "2,x"], capture_output=True, text=True, check=False
    )
    assert failed.stderr == "error: '2,x': positive integers joined by commas are needed, as in 1,2,4\n"
