"""Tokens a second and model FLOPs utilization of every rung, beside a plain decoder and a peer in one run.

    python -m models.bench ceilings                                   # what the card does: a product, a copy
    python -m models.bench rungs --rungs 150M,1B --ways plain,fused   # the table; --tokens FOLDER: real text
    python -m models.bench attention --rungs 150M                     # each attention backend's time
    python -m models.bench profile --rungs 150M --ways fused          # where a step's time goes, by kernel
    python -m models.bench plot --rows rows.jsonl --output speed.png  # the table as a picture

A row: the median of the steps timed after two short ones, optimizer step included; a step is the rung's own
batch, so that what is done once a step weighs what it weighs in training. MFU = (6 N + 6 L T d)
x tokens/s / peak, N with the head and without the input embedding, causal attention at half. Ways:

    plain    models.decoder as a user would train it: float32 weights under autocast, SDPA, torch.compile of
             model and loss together, torch's fused AdamW
    peer     transformers' LlamaForCausalLM of the same shape, trained the same way
    fused    this project's step (models.engine) on plain causal windows; fused:flash names the attention
    packed   the same with documents kept apart in attention
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from models.attention import Packing, packing
from models.decoder import NORM_EPS, ROPE_BASE, Decoder
from models.engine import Engine, EngineOptions
from models.errors import ModelError
from models.ladder import LADDER, VOCABULARY, WINDOW, Rung, plan
from models.local import local_path
from models.optimizer import OptimizerOptions
from models.peaks import peak_flops
from models.plots import plot_speeds

#: Sequences a micro-batch that fit 80 GB in either way; halved until it fits when memory runs out.
MICRO = {"150M": 64, "300M": 32, "400M": 32, "400M-dclm": 32, "530M": 28, "750M": 24, "1B": 16}
RATE = 1e-4


@dataclass(frozen=True)
class Batch:
    """Ids, targets and packing on the device."""

    tokens: Tensor
    targets: Tensor
    pack: Packing | None


class Step(Protocol):
    """An optimizer step; returns its loss."""

    def __call__(self, few: int | None = None) -> Tensor:
        """few: take so many micro-batches only."""


def batches(batch: int, micro: int, window: int, masked: bool, folder: Path | None) -> list[Batch]:
    """A step's micro-batches: of a token folder's first windows, else of random ids in documents of 700
    tokens.
    """
    found = []
    for i in range(batch // micro):
        if folder is None:
            g = torch.Generator().manual_seed(i)
            ids = torch.randint(50_280, (micro, window + 1), generator=g)
            documents = ((torch.rand(micro, window, generator=g) < 1 / 700).cumsum(1)).cuda()
            targets = ids[:, 1:]
        else:
            from models.data import Tokens  # noqa: PLC0415

            data = Tokens.open(folder).batch(
                torch.arange(i * micro, (i + 1) * micro).numpy() * window, window
            )
            ids, targets, documents = data.tokens, data.targets, data.documents.cuda()
            if not masked:
                targets = torch.cat(
                    (ids[:, 1:], targets[:, -1:]), 1
                )  # one document a window: all are predicted
        tokens = ids[:, :window].cuda()
        found.append(Batch(tokens, targets.contiguous().cuda(), packing(documents) if masked else None))
    return found


def fused_step(rung: Rung, work: list[Batch], attention: str = "auto") -> Step:
    """This project's step."""
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = Decoder(rung, VOCABULARY)
    engine = Engine(model, EngineOptions("fused", attention, bfloat16=True), OptimizerOptions())

    def step(few: int | None = None) -> Tensor:
        scale = torch.tensor(1.0 / sum(b.targets.numel() for b in work[:few]), device="cuda")
        for batch in work[:few]:
            engine.accumulate(batch, scale)
        return engine.update(RATE).loss

    return step


def autocast_step(
    model: torch.nn.Module, loss_of: Callable[[Tensor, Tensor], Tensor], work: list[Batch]
) -> Step:
    """The ordinary way: compiled loss under autocast, torch's fused AdamW."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.05, fused=True
    )
    compiled = torch.compile(loss_of, dynamic=False)

    def step(few: int | None = None) -> Tensor:
        total = torch.zeros((), device="cuda")
        for batch in work[:few]:
            with torch.autocast("cuda", torch.bfloat16):
                loss = compiled(batch.tokens, batch.targets) / len(work[:few])
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total

    return step


def plain_step(rung: Rung, work: list[Batch]) -> Step:
    """`models.decoder` under autocast."""
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = Decoder(rung, VOCABULARY)

    def loss_of(tokens: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())

    return autocast_step(model, loss_of, work)


def peer_step(rung: Rung, work: list[Batch]) -> Step:
    """transformers' Llama of the same shape."""
    import transformers  # noqa: PLC0415

    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=rung.width, intermediate_size=rung.hidden_width,
        num_hidden_layers=rung.layers, num_attention_heads=rung.heads, num_key_value_heads=rung.key_heads,
        max_position_embeddings=WINDOW, rms_norm_eps=NORM_EPS, rope_theta=ROPE_BASE,
        tie_word_embeddings=False,
        attn_implementation="sdpa", use_cache=False,
    )  # fmt: skip
    with torch.device("cuda"):
        model = transformers.LlamaForCausalLM(config)

    def loss_of(tokens: Tensor, targets: Tensor) -> Tensor:
        logits = model(input_ids=tokens).logits
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return autocast_step(model, loss_of, work)


def make(way: str, rung: Rung, batch: int, micro: int, folder: Path | None) -> Step:
    """A step of a way; `fused:flash` and the like name the attention."""
    name, _, attention = way.partition(":")
    work = batches(batch, micro, WINDOW, name == "packed", folder)
    if name in ("fused", "packed"):
        return fused_step(rung, work, attention or "auto")
    return {"plain": plain_step, "peer": peer_step}[name](rung, work)


def measure(
    way: str, name: str, seconds: float, folder: Path | None, micro: int | None, batch: int | None
) -> dict[str, Any]:
    """One row of the table."""
    rung, micro = LADDER[name], micro or MICRO.get(name, 32)
    wanted = batch or plan(rung).batch
    while True:
        micro = min(micro, wanted)
        batch = wanted - wanted % micro  # whole micro-batches
        torch.cuda.reset_peak_memory_stats()
        begin = time.perf_counter()
        try:
            step = make(way, rung, batch, micro, folder)
            loss = step(1).item()
            first = time.perf_counter() - begin
            times = timed(step, seconds)
            break
        except torch.cuda.OutOfMemoryError:
            step = None  # type: ignore[assignment]
            clean()
            if micro == 1:
                raise
            micro //= 2
    median = statistics.median(times)
    rate = batch * WINDOW / median
    peak = peak_flops(torch.device("cuda")) or float("nan")
    row = {
        "rung": name, "way": way, "batch": batch, "micro": micro, "tokens_per_second": round(rate),
        "mfu": round(rate * rung.flops_per_token() / peak, 4), "step_ms": round(median * 1e3, 2),
        "spread": round((max(times) - min(times)) / median, 4), "steps": len(times),
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2), "first_step_s": round(first, 1),
        "first_loss": round(loss, 4),
    }  # fmt: skip
    del step
    clean()
    return row


def timed(step: Step, seconds: float) -> list[float]:
    """Seconds of each step over about `seconds`, three at least, two short warm-up steps before."""
    for _ in range(2):
        step(2)
    torch.cuda.synchronize()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        step()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return times


def clean() -> None:
    """Give memory back before the next row."""
    torch._dynamo.reset()
    gc.collect()
    torch.cuda.empty_cache()


def kernel_ms(function: Callable[[], Any]) -> float:
    """Median milliseconds of a piece of device work."""
    import triton  # noqa: PLC0415

    return float(triton.testing.do_bench(function, warmup=20, rep=100, return_mode="median"))


def ceilings() -> dict[str, Any]:
    """The card's matrix product and copy, on random data."""
    import triton  # noqa: PLC0415

    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    source = torch.randn(1 << 30, device="cuda", dtype=torch.float32)
    target = torch.empty_like(source)
    product, copy = kernel_ms(lambda: a @ b), kernel_ms(lambda: target.copy_(source))
    return {
        "device": torch.cuda.get_device_name(), "torch": torch.__version__, "triton": triton.__version__,
        "product_8192_tflops": round(2 * 8192**3 / product / 1e9, 1),
        "copy_tb_per_s": round(2 * 4 * (1 << 30) / copy / 1e9, 2),
    }  # fmt: skip


def attention_rows(name: str) -> Iterator[dict[str, Any]]:
    """Forward and backward time of each attention backend at a rung's shape, 16 windows."""
    from models.attention import attend, choose_backend, padded_width  # noqa: PLC0415

    rung, B = LADDER[name], 16
    flops = 2 * 2 * B * rung.heads * WINDOW**2 / 2 * rung.head_width
    wide, scale = padded_width(rung.head_width, "flash"), rung.head_width**-0.5
    qkv = torch.randn(B, WINDOW, 3 * rung.heads, wide, device="cuda", dtype=torch.bfloat16)
    documents = (torch.rand(B, WINDOW, device="cuda") < 1 / 700).cumsum(1)
    ways = [(False, "flash4"), (False, "cudnn"), (False, "flash")]
    for masked, way in [*ways, (True, "flash4"), (True, "flash"), (True, "flex")]:
        try:
            way = choose_backend(way, qkv.device, masked, rung.head_width)  # noqa: PLW2901
            q, k, v = (x.requires_grad_() for x in qkv.detach().split(rung.heads, dim=2))
            pack = packing(documents) if masked else None
            y = attend(q, k, v, pack, way, scale)
            upstream = torch.randn_like(y)
            forward = kernel_ms(lambda: attend(q, k, v, pack, way, scale))  # noqa: B023
            back = kernel_ms(lambda: torch.autograd.grad(y, (q, k, v), upstream, retain_graph=True))  # noqa: B023
            yield {
                "attention": way, "rung": name, "documents": masked, "forward_ms": round(forward, 3),
                "backward_ms": round(back, 3), "forward_tflops": round(flops / forward / 1e9),
                "backward_tflops": round(2.5 * flops / back / 1e9), "contiguous": y.is_contiguous(),
            }  # fmt: skip
        except Exception as error:  # a backend that this torch lacks is a row too
            yield {"attention": way, "rung": name, "documents": masked, "error": str(error)[:300]}


def profile(way: str, name: str, folder: Path | None, rows: int = 28) -> str:
    """Where a step's device time goes, by kernel."""
    micro = MICRO.get(name, 32)
    step = make(way, LADDER[name], -(-64 // micro) * micro, micro, folder)  # 131,072 tokens or a few more
    for _ in range(2):
        step()
    torch.cuda.synchronize()
    kinds = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=kinds) as result:
        step()
        torch.cuda.synchronize()
    events = [
        e for e in result.key_averages() if e.self_device_time_total > 0 and e.device_type.name == "CUDA"
    ]
    total = sum(e.self_device_time_total for e in events)
    events.sort(key=lambda e: -e.self_device_time_total)
    lines = [f"{way} {name}: {total / 1e3:.2f} ms of device time a step"]
    for e in events[:rows]:
        share = e.self_device_time_total / total
        lines.append(f"{share:6.1%} {e.self_device_time_total / 1e3:9.3f} ms {e.count:5d} x {e.key[:110]}")
    del step
    clean()
    return "\n".join(lines)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The measured rows among those that `rungs` printed, in the ladder's order; ModelError where none is."""
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        rows = [row for row in rows if "mfu" in row]
        rows.sort(key=lambda row: [*LADDER].index(row["rung"]))
        for row in rows:
            row |= {"way": str(row["way"]), **{key: float(row[key]) for key in ("tokens_per_second", "mfu")}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise ModelError(f"--rows {path}: not what bench rungs prints ({why})") from error
    if not rows:
        raise ModelError(f"--rows {path}: holds no measured row; write it with python -m models.bench rungs")
    return rows


def main() -> None:
    """The command line; prints one JSON object a row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["ceilings", "rungs", "attention", "profile", "plot"])
    parser.add_argument("--rungs", default="150M,400M,530M,750M,1B")
    parser.add_argument("--ways", default="plain,peer,fused,packed")
    parser.add_argument("--seconds", type=float, default=5.0, help="measuring time of a row")
    parser.add_argument("--tokens", type=local_path, help="token folder; left out, random ids")
    parser.add_argument("--micro", type=int, help="sequences a micro-batch, for all rows")
    parser.add_argument("--batch", type=int, help="sequences a step, for all rows; left out, the rung's own")
    parser.add_argument("--rows", type=local_path, help="what `rungs` printed, for `plot`")
    parser.add_argument("--output", type=local_path, help="the PNG that `plot` writes")
    arguments = parser.parse_args()
    if arguments.what == "plot":
        if arguments.rows is None or arguments.output is None:
            parser.error("plot: needs --rows and --output")
        if arguments.output.exists() and not arguments.output.is_file():
            parser.error(f"--output {arguments.output}: exists and is no file")
        try:
            plot_speeds(read_rows(arguments.rows), arguments.output, arguments.rows.stem)
        except (ModelError, OSError) as error:
            sys.exit(f"error: {error}")
        return
    rungs, ways = arguments.rungs.split(","), arguments.ways.split(",")
    if arguments.what == "ceilings":
        print(json.dumps(ceilings()), flush=True)
    for name in rungs:
        if arguments.what == "attention":
            for row in attention_rows(name):
                print(json.dumps(row), flush=True)
        for way in ways if arguments.what in ("rungs", "profile") else []:
            try:
                if arguments.what == "profile":
                    print(profile(way, name, arguments.tokens), flush=True)
                else:
                    row = measure(
                        way, name, arguments.seconds, arguments.tokens, arguments.micro, arguments.batch
                    )
                    print(json.dumps(row), flush=True)
            except Exception as error:  # one row's failure is that row's
                print(
                    json.dumps({"rung": name, "way": way, "error": f"{type(error).__name__}: {error}"[:400]}),
                    flush=True,
                )
                clean()


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")
    main()
