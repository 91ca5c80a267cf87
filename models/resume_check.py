"""Proof of resuming: a run killed in the middle and started again, beside runs that nothing happened to.

    python -m models.resume_check --tokens TOKENS --work /tmp/check --rung 20M --steps 120

Prints JSON. `deterministic`: whether killed and unharmed run end with the same bytes of weights. `fast`: the
largest difference of each loss curve, after the kill, to that of the nearest unharmed run.
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
    """Runs unharmed and as many killed: how far each one's losses, from the middle on, are from the nearest
    unharmed other's.
    """
    names = [f"{kind}-{i}" for i in range(arguments.runs) for kind in ("unharmed", "killed")]
    at = {}
    for name in names:
        if name.startswith("killed"):
            at[name] = run_killed(arguments, arguments.work / name, [])
        else:
            run_whole(arguments, arguments.work / name, [])
    late = {name: losses(arguments.work / name)[arguments.steps // 2 :] for name in names}
    unharmed = [name for name in names if name.startswith("unharmed")]
    nearest = {
        name: min(max(map(abs, map(float.__sub__, late[name], late[o]))) for o in unharmed if o != name)
        for name in names
    }
    return {"killed_after_step": at, "to_the_nearest_unharmed": nearest}


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
    parser.add_argument(
        "--runs", type=int, default=2, help="unharmed runs of the fast proof, and killed ones"
    )
    arguments = parser.parse_args()
    if arguments.runs < 2:
        parser.error("--runs: two at least, to have something to compare with")
    shutil.rmtree(arguments.work, ignore_errors=True)
    found = {"rung": arguments.rung, "steps": arguments.steps}
    print(json.dumps(found | {name: PROOFS[name](arguments) for name in arguments.proof or PROOFS}, indent=2))


if __name__ == "__main__":
    main()
