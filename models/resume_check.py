"""Proof of resuming: a run killed in the middle and started again, beside runs that nothing happened to.

    python -m models.resume_check --tokens TOKENS --work /tmp/check --rung 20M --steps 120

Prints JSON. `deterministic`: whether killed and unharmed run end with the same bytes of weights. `fast`: the
largest difference between the loss curves of two unharmed runs, and of the killed run to either, after the
kill.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def command(arguments: argparse.Namespace, output: Path, extra: list[str]) -> list[str]:
    """The trainer's command line for one run."""
    every = max(1, arguments.steps // 6)
    return [
        sys.executable, "-m", "models.train", "--tokens", str(arguments.tokens), "--output", str(output),
        "--rung", arguments.rung, "--steps", str(arguments.steps), "--batch-size", str(arguments.batch_size),
        "--window", str(arguments.window), "--checkpoint-every", str(every),
        "--learning-rate", "1e-3", *extra,
    ]  # fmt: skip


def run_whole(arguments: argparse.Namespace, output: Path, extra: list[str]) -> None:
    """A run that nothing happens to."""
    subprocess.run(command(arguments, output, extra), check=True, stdout=sys.stderr)


def run_killed(arguments: argparse.Namespace, output: Path, extra: list[str]) -> int:
    """Kill a run past its middle, start it again; the step it was killed at."""
    process = subprocess.Popen(command(arguments, output, extra), stdout=sys.stderr, process_group=0)
    while process.poll() is None and len(losses(output)) < arguments.steps // 2 + 2:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    at = len(losses(output))
    run_whole(arguments, output, extra)
    return at


def losses(output: Path) -> list[float]:
    """The losses in metrics.jsonl, of whole lines."""
    path = output / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line)["loss"] for line in lines]


def weights_hash(output: Path) -> str:
    """SHA-256 of the final weights."""
    return hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest()


def deterministic(arguments: argparse.Namespace) -> dict[str, Any]:
    """A run killed and one unharmed, to the same bits."""
    extra = ["--deterministic"]
    work: Path = arguments.work
    run_whole(arguments, work / "exact", extra)
    at = run_killed(arguments, work / "exact-killed", extra)
    return {
        "killed_after_step": at,
        "same_weights": weights_hash(work / "exact") == weights_hash(work / "exact-killed"),
        "same_losses": losses(work / "exact") == losses(work / "exact-killed"),
        "last_loss": losses(work / "exact")[-1],
    }


def fast(arguments: argparse.Namespace) -> dict[str, Any]:
    """A run killed and two unharmed, their losses compared from the middle on."""
    work: Path = arguments.work
    run_whole(arguments, work / "a", [])
    run_whole(arguments, work / "b", [])
    at = run_killed(arguments, work / "c", [])
    a, b, c = (losses(work / name)[arguments.steps // 2 :] for name in "abc")
    return {
        "killed_after_step": at,
        "two_unharmed_runs": max(abs(x - y) for x, y in zip(a, b, strict=True)),
        "killed_to_nearer": max(min(abs(x - z), abs(y - z)) for x, y, z in zip(a, b, c, strict=True)),
        "mean_two_unharmed": sum(abs(x - y) for x, y in zip(a, b, strict=True)) / len(a),
        "mean_killed_to_first": sum(abs(x - z) for x, z in zip(a, c, strict=True)) / len(a),
    }


PROOFS = {"deterministic": deterministic, "fast": fast}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs; emptied first")
    parser.add_argument("--rung", default="4M")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--proof", choices=PROOFS, action="append", help="may be repeated; left out, both")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.work, ignore_errors=True)
    found = {"rung": arguments.rung, "steps": arguments.steps}
    print(json.dumps(found | {name: PROOFS[name](arguments) for name in arguments.proof or PROOFS}, indent=2))


if __name__ == "__main__":
    main()
