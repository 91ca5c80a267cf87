"""Speed and memory of the classifiers that the package carries.

    python -m werp.quality.bench PAGES.jsonl.xz [...]

Prints JSON: documents and megabytes of text per second of one core (processor time, so that neighbours on the
machine don't count), wall time beside it, and what loading a model adds to the process.
"""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from werp.quality.classifier import Classifier
from werp.quality.rows import json_lines
from werp.signals.quality import model_path


def main(
    files: Annotated[list[Path], typer.Argument(help="JSON lines with a field text (or gold_text)")],
    models: Annotated[list[str] | None, typer.Option(help="default: dclm and betr")] = None,
) -> None:
    """Measure and print JSON."""
    texts = [str(row.get("text") or row.get("gold_text")) for path in files for _, row in json_lines(path)]
    result: dict[str, Any] = {"documents": len(texts), "characters": sum(map(len, texts))}
    for name in models or ["dclm", "betr"]:
        before = _rss()
        model = Classifier(model_path(name))
        loaded = _rss() - before
        model.scores(texts[:10])
        wall, processor = time.perf_counter(), time.process_time()
        model.scores(texts)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        result[name] = {
            "documents_per_core_second": round(len(texts) / processor),
            "mb_per_core_second": round(result["characters"] / processor / 1e6, 1),
            "wall_seconds": round(wall, 2), "processor_seconds": round(processor, 2),
            "loading_adds_mb": round(loaded / 1024, 1),
        }  # fmt: skip
    print(json.dumps(result, indent=2))


def _rss() -> int:
    """Peak resident memory so far, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    typer.run(main)
