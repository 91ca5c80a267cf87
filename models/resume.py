"""What a run that goes on may differ in from the one that was stopped, and the metrics it takes over."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from models.config import FREE, TrainConfig
from models.errors import ModelError


def refuse_changes(facts: dict[str, Any], config: TrainConfig, fingerprint: str, folder: Path) -> None:
    """ModelError when a run would go on as another: with other settings, or with other tokens unless told."""
    now = config.model_dump(mode="json")
    for key, value in facts["train"].items():
        if key not in FREE and now.get(key) != value:
            raise ModelError(
                f"{folder}: the unfinished run had {key} {value!r}, now it is {now.get(key)!r}; give the old "
                "value, another --output, or remove the checkpoints folder to begin anew"
            )
    if facts["fingerprint"] != fingerprint and not config.accept_changed_data:
        raise ModelError(
            f"{folder}: the run began with other tokens, weights or window (fingerprint "
            f"{facts['fingerprint'][:12]}, now {fingerprint[:12]}); give the old ones, "
            "or --accept-changed-data"
        )


def cut_metrics(path: Path, step: int, write: bool) -> list[tuple[int, float]]:
    """Drop the rows after a checkpoint's step, a half-written last one too; the losses of those kept."""
    kept, losses = [], []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError, KeyError):
            row = json.loads(line)
            if row["step"] <= step:
                kept.append(line)
                losses.append((row["step"], row["loss"]))
    if write:
        path.write_text("".join(line + "\n" for line in kept), "utf-8")
    return losses
