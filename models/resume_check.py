"""Proof of resuming: a run killed in the middle and started again, beside runs that nothing happened to.

    python -m models.resume_check --tokens TOKENS --work /tmp/check --rung 20M --steps 120

Flags that it does not know go to the trainer (`--attention cudnn`).
Prints JSON. `deterministic`: whether killed and unharmed run end with the same bytes of weights. `fast`:
whether the loss curves of killed runs, from the middle on, lie in the spread of unharmed ones: the distance
of two curves is the largest difference of a step's losses, the spread the largest distance of two unharmed
runs.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from models.local import local_path


def command(arguments: argparse.Namespace, output: Path, extra: list[str]) -> list[str]:
    """The trainer's command line for one run."""
    every = max(1, arguments.steps // 6)
    return [
        sys.executable, "-m", "models.train", "--tokens", str(arguments.tokens), "--output", str(output),
        "--rung", arguments.rung, "--steps", str(arguments.steps), "--batch-size", str(arguments.batch_size),
        "--window", str(arguments.window), "--checkpoint-every", str(every),
        "--learning-rate", "1e-3", *arguments.trainer, *extra,
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
    """Runs unharmed and as many killed: the distances of unharmed ones from each other, and of each killed
    one from the nearest unharmed one.
    """
    unharmed = [f"unharmed-{i}" for i in range(arguments.runs)]
    killed = [f"killed-{i}" for i in range(arguments.runs)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        whole = [pool.submit(run_whole, arguments, arguments.work / name, []) for name in unharmed]
        stopped = [pool.submit(run_killed, arguments, arguments.work / name, []) for name in killed]
        at = dict(zip(killed, [each.result() for each in stopped], strict=True))
        for each in whole:
            each.result()
    late = {name: losses(arguments.work / name)[arguments.steps // 2 :] for name in unharmed + killed}
    between = [distance(late[a], late[b]) for a, b in itertools.combinations(unharmed, 2)]
    nearest = {name: min(distance(late[name], late[other]) for other in unharmed) for name in at}
    return {
        "killed_after_step": at,
        "between_unharmed": between,
        "killed_from_the_nearest_unharmed": nearest,
        "within_the_spread": max(nearest.values()) <= max(between),
    }


def distance(a: list[float], b: list[float]) -> float:
    """The largest difference of two curves at the same step."""
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


PROOFS = {"deterministic": deterministic, "fast": fast}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=local_path, required=True)
    parser.add_argument("--work", type=local_path, required=True, help="folder for the runs; emptied first")
    parser.add_argument("--rung", default="4M")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--proof", choices=PROOFS, action="append", help="may be repeated; left out, both")
    parser.add_argument(
        "--runs", type=int, default=2, help="unharmed runs of the fast proof, and killed ones"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs of the fast proof at a time")
    arguments, trainer = parser.parse_known_args()
    arguments.trainer = trainer
    if arguments.runs < 2:
        parser.error("--runs: two at least, to have something to compare with")
    shutil.rmtree(arguments.work, ignore_errors=True)
    found = {"rung": arguments.rung, "steps": arguments.steps}
    print(json.dumps(found | {name: PROOFS[name](arguments) for name in arguments.proof or PROOFS}, indent=2))


if __name__ == "__main__":
    main()
