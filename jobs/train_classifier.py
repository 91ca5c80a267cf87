"""Train a quality classifier and prove it on held-out sources.

    python jobs/train_classifier.py --preset sample --output out/sample     # after `make demo`
    spark-submit jobs/train_classifier.py --preset dclm --output out/dclm
    python jobs/train_classifier.py --preset betr --set betr.top=0.05 --output out/betr
    python jobs/train_classifier.py --spec mine.yaml --output out/mine --dry-run

Training is one process: fastText with one thread is what makes two trainings equal, and Spark has nothing to
spread. `spark-submit` runs it all the same, on the driver.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from werp.command import run
from werp.errors import WerpError
from werp.progress import say
from werp.quality.sources import unset_variables
from werp.quality.spec import load_spec, preset_names
from werp.quality.training import train_classifier


def main(
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="folder for the model, its card, thresholds and report")
    ] = None,
    preset: Annotated[str | None, typer.Option(help=f"one of {', '.join(preset_names())}")] = None,
    spec: Annotated[Path | None, typer.Option(help="a spec of your own, YAML")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="change a key, e.g. fasttext.epoch=10; repeatable"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace a model that is there")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print the spec with every default, and stop")
    ] = False,
) -> None:
    """Train a fastText classifier from a spec: model, card, threshold table, report.

    spark-submit jobs/train_classifier.py --preset dclm --output out/dclm
    """
    if (preset is None) == (spec is None):
        raise WerpError("give --preset or --spec; `--preset dclm --dry-run` prints one to start from")
    if spec is not None and spec.suffix not in (".yaml", ".yml"):
        raise WerpError(f"--spec {spec}: a spec is a YAML file")
    chosen = load_spec(preset or str(spec), overrides or [])
    if dry_run:
        for line in unset_variables(chosen):
            print(
                f"# Not set here: ${{{line.replace(': ', '}, ', 1)}. Export it, or write paths in its place."
            )
        print(yaml.safe_dump(chosen.model_dump(mode="json"), sort_keys=False, allow_unicode=True), end="")
        return
    if output is None:
        raise WerpError("give --output, a folder for the model, its card, thresholds and report")
    card = train_classifier(chosen, output, force=force)
    held = card["held_out"]
    say(
        f"{output / card['model']['file']}: held-out ROC-AUC {held['roc_auc']} (95 %: {held['roc_auc_95']}),"
        f" accuracy {held['accuracy']}; {output}/card.json, thresholds.json, report.html"
    )


if __name__ == "__main__":
    run("train_classifier", main)
