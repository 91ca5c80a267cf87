"""Checkpoints of a run under way: OUTPUT/checkpoints/step-NNNNNNN, each with all that a trainer goes on with.

    model.safetensors, tokenizer.json, config.json
        as `models.checkpoint` reads them: any of them can be evaluated
    state-00000-of-00001.safetensors
        master weights and moments by parameter, float32, and the guard's history; with sharded training a
        file a process, each with its rows of every parameter
    state.json
        step, seconds, data fingerprint, configuration

A folder appears whole, by one rename. Nothing is pickled. Any number of processes can go on from any number.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.checkpoint import check_format, write_checkpoint, write_whole
from models.errors import ModelError
from models.processes import Processes

NAME = re.compile(r"step-(\d{7})")


class Checkpointer:
    """Writes a run's checkpoints, in the background where one process writes all of it.

    The tensors are copied to the host first; training goes on while they are written.
    """

    def __init__(self, output: Path, keep: int, tokenizer: bytes) -> None:
        self.folder, self.keep, self.tokenizer = output / "checkpoints", keep, tokenizer
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save(
        self,
        step: int,
        weights: dict[str, Tensor],
        state: dict[str, Tensor],
        config: dict[str, Any],
        facts: dict[str, Any],
    ) -> None:
        """Begin to write the checkpoint of a step; an earlier one is finished first."""
        self.wait()
        weights, state = host_copy(weights), host_copy(state)

        def write() -> None:
            try:
                partial = self.partial(step)
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
                self.write_state(partial, state, 0, 1)
                self.finish(step, weights, config, facts)
            except BaseException as error:  # raised where the trainer waits
                self._error = error

        self._thread = threading.Thread(target=write, name="checkpoint")
        self._thread.start()

    def save_shards(
        self,
        step: int,
        weights: dict[str, Tensor],
        state: dict[str, Tensor],
        config: dict[str, Any],
        facts: dict[str, Any],
        group: Processes,
    ) -> None:
        """Write this process's rows; the first one gives the folder its name when all have."""
        partial = self.partial(step)
        if group.rank == 0:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        group.barrier()
        self.write_state(partial, state, group.rank, group.world)
        group.barrier()
        if group.rank == 0:
            self.finish(step, weights, config, facts | {"world": group.world})
        group.barrier()

    def name(self, step: int) -> Path:
        """Where a checkpoint lies when it is whole."""
        return self.folder / f"step-{step:07d}"

    def partial(self, step: int) -> Path:
        """Where a checkpoint is written before it is whole."""
        return self.folder / f".step-{step:07d}.partial"

    @staticmethod
    def write_state(folder: Path, state: dict[str, Tensor], rank: int, world: int) -> None:
        """Write one process's state."""
        path = folder / f"state-{rank:05d}-of-{world:05d}.safetensors"
        save_file({name: x.contiguous() for name, x in state.items()}, path)
        with path.open("rb+") as file:
            os.fsync(file.fileno())

    def finish(
        self, step: int, weights: dict[str, Tensor], config: dict[str, Any], facts: dict[str, Any]
    ) -> None:
        """Write what is left, give the folder its name, and remove the oldest."""
        partial, final = self.partial(step), self.name(step)
        write_whole(partial / "state.json", (json.dumps(facts, indent=2) + "\n").encode())
        write_checkpoint(partial, weights, self.tokenizer, config)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
        for old in checkpoints(self.folder)[: -self.keep]:
            shutil.rmtree(old)

    def wait(self) -> None:
        """Until the last checkpoint is on disk; raises what went wrong."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise ModelError(f"{self.folder}: the checkpoint could not be written: {error}") from error


def host_copy(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies in the host's memory that training does not change."""
    return {name: x.detach().to("cpu", copy=True) for name, x in tensors.items()}


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in a `checkpoints` folder, oldest first."""
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(path for path in found if NAME.fullmatch(path.name) and (path / "config.json").is_file())


def ours(folder: Path) -> list[Path]:
    """What a run has written into a `checkpoints` folder, whole or not."""
    found = folder.iterdir() if folder.is_dir() else []
    return [path for path in found if NAME.fullmatch(path.name.removeprefix(".").removesuffix(".partial"))]


def read_facts(folder: Path) -> dict[str, Any]:
    """state.json of a checkpoint; ModelError naming the file that is damaged or missing."""
    path = folder / "config.json"
    try:
        check_format(json.loads(path.read_text("utf-8")), path)
        path = folder / "state.json"
        facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
        int(facts["world"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, error) from error
    return facts


def read_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(state.json, tensors by name) of a checkpoint; the rows of sharded files are joined.

    Raises ModelError naming the file that is damaged or missing.
    """
    facts = read_facts(folder)
    world = int(facts["world"])
    pieces: dict[str, list[Tensor]] = {}
    for rank in range(world):
        path = folder / f"state-{rank:05d}-of-{world:05d}.safetensors"
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    pieces.setdefault(name, []).append(file.get_tensor(name))
        except (OSError, ValueError, SafetensorError) as error:
            raise damaged(path, error) from error
    return facts, {
        name: torch.cat(parts) if len(parts) > 1 and sharded(name) else parts[0]
        for name, parts in pieces.items()
    }


def damaged(path: Path, error: Exception) -> ModelError:
    """What is said of a checkpoint's file that can't be read."""
    return ModelError(
        f"{path}: can't be read ({error}); remove {path.parent} to go on from the checkpoint before it"
    )


def sharded(name: str) -> bool:
    """Whether a tensor's rows lie in several files: those of parameters do, the guard's do not."""
    return "/" in name
