"""What a configuration comes to for a rung and a device: the plan, and the engine with its options."""

from __future__ import annotations

import math
from typing import Any

import torch

from models.config import TrainConfig
from models.decoder import Decoder
from models.engine import Engine, EngineOptions
from models.ladder import Plan, Rung, plan
from models.optimizer import OptimizerOptions
from models.processes import Processes


def make_plan(config: TrainConfig, rung: Rung, vocabulary: int) -> Plan:
    """The ladder's plan with what the configuration says instead."""
    base = plan(rung, config.per_parameter, vocabulary)
    batch = config.batch_size or base.batch
    tokens = batch * config.window
    default = math.ceil(base.tokens / tokens)
    return Plan(
        batch=batch,
        window=config.window,
        steps=config.steps or default,
        warmup_steps=math.ceil(base.warmup_steps * base.batch * base.window / tokens),
        learning_rate=config.learning_rate or base.learning_rate,
        weight_decay=base.weight_decay if config.weight_decay is None else config.weight_decay,
        z_loss=base.z_loss if config.z_loss is None else config.z_loss,
    )


def engine_options(
    config: TrainConfig, run: Plan, group: Processes
) -> tuple[EngineOptions, OptimizerOptions]:
    """How steps are computed and taken."""
    wide = config.precision == "float32" or (config.precision == "auto" and group.device.type != "cuda")
    return (
        EngineOptions(config.backend, config.attention, not wide, config.compile, run.z_loss),
        OptimizerOptions(
            name=config.optimizer, weight_decay=run.weight_decay, clip=config.clip, spike=config.spike
        ),
    )


def make_engine(
    rung: Rung, vocabulary: int, seed: int, device: torch.device, options: EngineOptions,
    optimizer: OptimizerOptions, in_shards: bool,
) -> Any:  # fmt: skip
    """The model with its initial weights, which are drawn on the CPU and so the same for every device."""
    torch.manual_seed(seed)
    model = Decoder(rung, vocabulary).to(device)
    if in_shards:
        from models.sharded import ShardedEngine  # noqa: PLC0415

        return ShardedEngine(model, options, optimizer)
    return Engine(model, options, optimizer)


def device_name(device: torch.device) -> str:
    """The GPU's name, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
