"""A fastText classifier: training, loading and scoring, on lines of words.

Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification"; used as DCLM does (arXiv 2406.11794).
"""

from __future__ import annotations

import functools
import mmap
import struct
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from werp.errors import WerpError
from werp.language import line_of
from werp.quality.spec import FastText, Quantize

_MAGIC = 793712314  # the first four bytes of fastText's files


def words_of(text: str) -> str:
    """The line that stands for a document in training and in scoring: its words, one space between them.

    >>> words_of("Buy\\u00a0now!\\n__label__hq </s>  rest")
    'Buy now! label__hq s rest'
    """
    return line_of(" ".join(text.replace("\0", " ").split()))


def write_lines(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """fastText's training file: a line a row, (label, text)."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for label, text in rows:
            file.write(f"__label__{label} {words_of(text)}\n")


def check_package() -> None:
    """Raise `WerpError` unless the installed fastText is the build that trains correctly."""
    try:
        version("fasttext-wheel")
    except PackageNotFoundError as error:
        raise WerpError(
            "training needs the package fasttext-wheel: other builds of fastText end in NaN on valid data;"
            " pip uninstall fasttext fasttext-predict; pip install fasttext-wheel==0.9.2"
        ) from error


def train(lines: Path, parameters: FastText) -> Any:
    """Train on a file of `write_lines`; returns fastText's model.

    Raises `WerpError` where it ends in NaN, or leaves a weight that is no number.
    """
    check_package()
    import fasttext  # noqa: PLC0415

    arguments = {**parameters.model_dump(), "verbose": 0}
    try:
        model = fasttext.train_supervised(input=str(lines), **arguments)
    except MemoryError as error:
        raise WerpError(
            f"fastText: too little memory for dim {parameters.dim} and bucket {parameters.bucket}:"
            " try smaller fasttext.dim and fasttext.bucket"
        ) from error
    except RuntimeError as error:
        raise WerpError(f"fastText: {error}; with lr {parameters.lr}: try a smaller fasttext.lr") from error
    if not (np.isfinite(model.get_input_matrix()).all() and np.isfinite(model.get_output_matrix()).all()):
        raise WerpError(f"fastText left weights that are no numbers; try fasttext.lr below {parameters.lr}")
    return model


def quantize(model: Any, lines: Path, options: Quantize) -> None:
    """Quantise a trained model in place, with one thread; `WerpError` for a model too small for it."""
    try:
        model.quantize(
            input=str(lines) if options.retrain else None, cutoff=options.cutoff, retrain=options.retrain,
            qnorm=options.qnorm, qout=options.qout, dsub=options.dsub, thread=1, verbose=0,
        )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        raise WerpError(f"quantize: fastText: {error}; leave quantize out (null), or raise cutoff") from error


def save(model: Any, path: Path) -> None:
    """Write a model; `WerpError` where it is not whole, of which fastText says nothing."""
    model.save_model(str(path))
    try:
        _refuse_cut(path)
    except WerpError as error:
        raise WerpError(f"{path}: the model could not be written whole; is the disk full?") from error


def _refuse_cut(path: Path) -> None:
    """Raise `WerpError` for a model file that ends before its last matrix does.

    fastText reads on behind the end: such a model scores every page alike, or ends the process.
    """
    if path.stat().st_size < 8:
        return  # the loader says what it is
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if struct.unpack_from("<i", data)[0] != _MAGIC:
            return
        try:
            end = _end_of(data)
        except struct.error:
            end = len(data) + 1
        if end > len(data):
            raise WerpError(f"quality model {path}: cut short at {len(data):,} bytes; copy it again")


def _end_of(data: mmap.mmap) -> int:
    """Where the model of a file ends by what it says of itself: settings, dictionary, two matrices."""
    at = 8 + 12 * 4 + 8
    words, _, _, _, pruned = struct.unpack_from("<3i2q", data, at)
    at += 28
    for _ in range(words):
        name_end = data.find(b"\0", at)
        if name_end < 0:
            return len(data) + 1
        at = name_end + 1 + 9  # a count and a type
    at += 8 * max(pruned, 0)
    (quantised,) = struct.unpack_from("<?", data, at)
    at = _matrix_end(data, at + 1, quantised)
    (output,) = struct.unpack_from("<?", data, at)
    return _matrix_end(data, at + 1, quantised and output)


def _matrix_end(data: mmap.mmap, at: int, quantised: bool) -> int:
    if not quantised:
        rows, columns = struct.unpack_from("<2q", data, at)
        return int(at + 16 + 4 * rows * columns)
    norms, rows, _, codes = struct.unpack_from("<?2qi", data, at)
    at += 21 + codes
    at += 16 + 4 * 256 * struct.unpack_from("<i", data, at)[0]
    return int(at + rows + 16 + 4 * 256 if norms else at)


class Classifier:
    """A trained model of two labels; `scores` gives the probability of the positive one.

    positive: its label; None takes the one of the model's two labels that is `hq`.
    """

    def __init__(self, path: Path, positive: str | None = None) -> None:
        import fasttext_pybind  # noqa: PLC0415

        # The binding itself: the wrapper around it prints a warning at every load and raises with NumPy 2.
        self._handle = fasttext_pybind.fasttext()
        if not path.is_file():
            raise WerpError(f"quality model {path}: no such file")
        _refuse_cut(path)
        try:
            self._handle.loadModel(str(path))
        except (ValueError, RuntimeError, MemoryError) as error:
            raise WerpError(f"quality model {path}: not a fastText model: {error}") from error
        labels = [label.removeprefix("__label__") for label in self._handle.getLabels("strict")[0]]
        positive = positive or "hq"
        if positive not in labels:
            raise WerpError(
                f"quality model {path}: has the labels {', '.join(labels[:5])}, not {positive!r};"
                " name the one to keep as `positive`"
            )
        self._label = f"__label__{positive}"
        self._count = len(labels)

    def scores(self, texts: Sequence[str]) -> list[float | None]:
        """Probability in 0-1 of the positive label for each text; None for a blank one."""
        out: list[float | None] = []
        predict = self._handle.predict
        for text in texts:
            line = words_of(text)
            if not line:
                out.append(None)
                continue
            found = {label: score for score, label in predict(line + "\n", self._count, 0.0, "strict")}
            # fastText adds 1e-5 within its logarithm, so a sure score can come out just above 1.
            out.append(min(float(found[self._label]), 1.0) if self._label in found else 0.0)
        return out


@functools.lru_cache(maxsize=8)
def loaded(path: str, positive: str | None = None) -> Classifier:
    """The classifier of a file, loaded once a process."""
    return Classifier(Path(path), positive)
