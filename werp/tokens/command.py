"""The command `werp tokenize`."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from werp.command import run as run_command
from werp.errors import WerpError

if TYPE_CHECKING:
    from werp.tokens.build import Runner


Output = Annotated[Path, typer.Option(metavar="DIR", help="the token folder to write")]
Run = Annotated[Path | None, typer.Option(metavar="DIR", help="a finished run, or a folder of shards")]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        help="text instead: JSON lines, .txt (also packed), Parquet, Arrow; files, folders, globs",
    ),
]
Field = Annotated[str, typer.Option(help="the column or key that holds the text")]
BandOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN:LOW:HIGH", help="only documents with LOW <= COLUMN < HIGH; a bound may be empty"
    ),
]
TokenizerFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="a tokenizer.json; left out, one is trained on the text")
]
VocabSize = Annotated[int, typer.Option(help="entries of the tokenizer that is trained")]
Spark = Annotated[bool, typer.Option(help="a Spark task a file; --no-spark: this process alone")]
Workers = Annotated[int | None, typer.Option(min=1, help="cores Spark uses on this machine")]
Megatron = Annotated[
    Path | None,
    typer.Option(metavar="PREFIX", help="also write PREFIX.bin and PREFIX.idx for Megatron-LM"),
]
Olmo = Annotated[Path | None, typer.Option(metavar="FILE", help="also write the ids as OLMo-core's .npy")]
Force = Annotated[bool, typer.Option("--force", help="replace the tokens that --output holds")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="list the files, and stop")]


def command(
    output: Output,
    run: Run = None,
    inputs: Inputs = None,
    field: Field = "text",
    band: BandOption = None,
    tokenizer: TokenizerFile = None,
    vocab_size: VocabSize = 4096,
    spark: Spark = True,
    workers: Workers = None,
    megatron: Megatron = None,
    olmo: Olmo = None,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Turn a run's shards, or files of text, into token shards to train on.

    werp tokenize --run out/run --output out/tokens

    werp tokenize --input 'books/*.jsonl.xz' --tokenizer tokenizer.json --output out/tokens
    """
    # Imported here: `werp` itself must start where the tokenizers package is missing.
    try:
        from werp.tokens.build import tokenize  # noqa: PLC0415
        from werp.tokens.export import export_megatron, export_olmo, refuse_target  # noqa: PLC0415
        from werp.tokens.sources import Band  # noqa: PLC0415
    except ImportError as error:
        raise WerpError(
            f"werp tokenize needs the package {error.name}; pip install 'blu-werp[train]'"
        ) from error
    files = _files(run, inputs)
    if not dry_run and not force and (output / "tokens.arrow").exists():
        raise WerpError(f"--output {output}: holds tokens; --force replaces them, or name another folder")
    chosen = Band.parse(band) if band else None
    for flag, path in (("--megatron", megatron), ("--olmo", olmo)):
        if path:
            refuse_target(path, flag, output)
    if dry_run:
        size = sum(file.stat().st_size for file in files)
        typer.echo(
            "\n".join(map(str, files)) + f"\n{len(files)} files, {size / 1e6:,.1f} MB; nothing written"
        )
        return
    begin = time.perf_counter()
    runner = _runner(spark, workers)
    metadata = tokenize(
        run, output, tokenizer, vocab_size, files=files, field=field, band=chosen, runner=runner
    )
    seconds = time.perf_counter() - begin
    typer.echo(
        f"{output}: {metadata.tokens:,} tokens of {metadata.documents:,} documents, "
        f"{metadata.vocabulary:,} entries ({metadata.tokenizer}); {metadata.tokens / seconds:,.0f} tokens/s"
    )
    if megatron:
        export_megatron(output, megatron)
    if olmo:
        export_olmo(output, olmo)


def _files(run: Path | None, inputs: list[str] | None) -> list[Path]:
    from werp.tokens.sources import input_files, shard_files  # noqa: PLC0415

    if run is not None and not inputs:
        return shard_files(run)
    if inputs and run is None:
        return input_files(inputs)
    raise WerpError("give --run (a refined run) or --input (files of text), and not both")


def _runner(spark: bool, workers: int | None) -> Runner:
    if spark:
        from werp.tokens.job import run_on_spark  # noqa: PLC0415

        return functools.partial(run_on_spark, workers=workers)
    from werp.tokens.build import run_here  # noqa: PLC0415

    return run_here


def main() -> None:
    """The command line of `python -m werp.tokens`."""
    run_command("werp.tokens", command)
