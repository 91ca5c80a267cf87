"""What a run that goes on may differ in from the one that was stopped, and the metrics it takes over."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.checkpoint import check_format, write_whole
from models.config import FREE, TrainConfig
from models.errors import ModelError
from models.state import ours

#: What a run says of itself that may differ when it is asked for again: beside FREE, where it ran.
WHERE = FREE | {"processes", "torch", "products"}


def read_finished(output: Path) -> dict[str, Any] | None:
    """What config.json tells of the finished run in `output`, None where there is none; ModelError where it
    is not a run's: then what lies there is not ours to replace.
    """
    path = output / "config.json"
    if not path.exists():
        return None
    try:
        written = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        written = None
    if not isinstance(written, dict) or "train" not in written:
        raise ModelError(f"output: {path} is not a checkpoint of models.train; name another folder")
    check_format(written, path)
    return written


def refuse_another(written: dict[str, Any], now: dict[str, Any], output: Path) -> None:
    """ModelError when the finished run in `output` is not the one that is asked for now."""
    settings = (
        key for key, value in now["train"].items() if key not in WHERE and written["train"].get(key) != value
    )
    differs = next(settings, None if written["sources"] == now["sources"] else "tokens")
    if differs:
        raise ModelError(
            f"output: {output} holds a finished run, which differs in {differs}; name another folder, or "
            "--force to replace it"
        )


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Keep other trainers out of `output`; ModelError where one is there."""
    with (output / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ModelError(
                f"output: another process trains into {output} now; wait for its end or name another folder"
            ) from error
        except OSError as error:  # file systems without locks: no reason not to train there
            print(
                f"warning: {output} can't be locked ({error.strerror}); let no second run write into it",
                file=sys.stderr,
            )
        yield


def clear(output: Path) -> None:
    """Remove an earlier run's checkpoints and metrics, and nothing that a run did not write."""
    for path in ours(output / "checkpoints"):
        shutil.rmtree(path)
    for name in ("config.json", "metrics.jsonl"):
        (output / name).unlink(missing_ok=True)


def refuse_other_tokenizer(folder: Path, tokenizer: bytes) -> None:
    """ModelError when the checkpoint's ids meant other texts: with other data, too, they must be the same."""
    path = folder / "tokenizer.json"
    try:
        before = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: can't be read ({error.strerror}); remove {folder} to go on from the one before it"
        ) from error
    if before != tokenizer:
        raise ModelError(
            f"{path}: the run began with another tokenizer, its ids mean other texts; tokenize with this one"
        )


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
    """Drop the rows after a checkpoint's step, and what a power cut left; the losses of those kept."""
    kept, losses = [], []
    for line in path.read_text("utf-8", "replace").splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            row = json.loads(line)
            if row["step"] <= step:
                kept.append(line)
                losses.append((row["step"], row["loss"]))
    if write:
        write_whole(path, "".join(line + "\n" for line in kept).encode())
    return losses
