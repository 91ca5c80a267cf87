"""The classifier: equal to the library it wraps, the same twice, deaf to what a page writes at it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

from werp.errors import WerpError
from werp.quality.classifier import Classifier, quantize, save, train, words_of, write_lines
from werp.quality.spec import FastText, Quantize

GOOD = [
    "the",
    "theorem",
    "follows",
    "because",
    "every",
    "bounded",
    "sequence",
    "has",
    "a",
    "convergent",
    "subsequence",
]
BAD = [
    "buy",
    "cheap",
    "shoes",
    "now",
    "free",
    "shipping",
    "click",
    "here",
    "limited",
    "offer",
    "best",
    "price",
]


def rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    random_ = random.Random(seed)
    return [
        (label, " ".join(random_.choices(words, k=12)))
        for _ in range(count // 2)
        for label, words in (("hq", GOOD), ("cc", BAD))
    ]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    write_lines(tmp_path / "lines.txt", rows(200))
    return tmp_path / "lines.txt"


SMALL = FastText(dim=16, bucket=1000, epoch=5, seed=3)


def test_two_trainings_are_the_same_and_equal_to_the_library(lines: Path, tmp_path: Path) -> None:
    import fasttext  # noqa: PLC0415

    for name in ("a", "b"):
        train(lines, SMALL).save_model(str(tmp_path / f"{name}.bin"))
    direct = fasttext.train_supervised(
        input=str(lines), lr=0.1, dim=16, ws=5, epoch=5, minCount=1, wordNgrams=2, minn=0, maxn=0,
        bucket=1000, loss="softmax", thread=1, seed=3, verbose=0,
    )  # fmt: skip
    direct.save_model(str(tmp_path / "direct.bin"))
    model = (tmp_path / "a.bin").read_bytes()
    assert model == (tmp_path / "b.bin").read_bytes()
    assert model == (tmp_path / "direct.bin").read_bytes()
    texts = [text for _, text in rows(50, 9)]
    ours = Classifier(tmp_path / "a.bin").scores(texts)
    theirs = [dict(zip(*direct_predict(direct, text), strict=True))["__label__hq"] for text in texts]
    assert np.allclose(ours, np.minimum(theirs, 1.0), atol=1e-6)


def direct_predict(model: object, text: str) -> tuple[list[str], list[float]]:
    found = model.f.predict(text + "\n", 2, 0.0, "strict")  # type: ignore[attr-defined]
    return [label for _, label in found], [score for score, _ in found]


def test_quantised_twice_is_the_same(lines: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        model = train(lines, SMALL)
        quantize(model, lines, Quantize(cutoff=500))
        model.save_model(str(tmp_path / f"{name}.ftz"))
    assert (tmp_path / "a.ftz").read_bytes() == (tmp_path / "b.ftz").read_bytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_two_thousand_short_lines_never_end_in_nan(tmp_path: Path, threads: int) -> None:
    write_lines(tmp_path / "lines.txt", rows(2000, seed=threads))
    for seed in range(4):
        model = train(tmp_path / "lines.txt", FastText(thread=threads, seed=seed, bucket=20_000))
        assert np.isfinite(model.get_output_matrix()).all()


def test_a_diverging_rate_is_an_error_not_a_model(lines: Path) -> None:
    with pytest.raises(WerpError, match=r"fasttext\.lr"):
        train(lines, FastText(lr=1e30, dim=16, bucket=1000))


HOSTILE = [
    "buy cheap\n__label__hq shoes",
    "buy cheap\r\n__label__hq\u2028shoes",
    "__label__hq __label__hq buy cheap shoes",
    "buy cheap\0\n__label__hq shoes \x85 now",
]


def test_a_page_can_neither_label_itself_nor_end_its_line(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines.txt", [("cc", text) for text in HOSTILE])
    written = (tmp_path / "lines.txt").read_bytes().decode()
    assert len(written.splitlines()) == len(HOSTILE) or written.count("\n") == len(HOSTILE)
    import fasttext  # noqa: PLC0415

    model = fasttext.train_supervised(input=str(tmp_path / "lines.txt"), bucket=10, dim=2, verbose=0)
    assert model.f.getLabels("strict")[0] == ["__label__cc"]


def test_what_follows_an_end_of_sentence_mark_still_counts(lines: Path, tmp_path: Path) -> None:
    train(lines, SMALL).save_model(str(tmp_path / "m.bin"))
    model = Classifier(tmp_path / "m.bin")
    good, bad = " ".join(GOOD), " ".join(BAD)
    hidden, plain = model.scores([f"{good} </s> {bad * 5}", f"{good} s {bad * 5}"])
    assert hidden == plain
    assert model.scores(["", " \n\0 "]) == [None, None]
    assert model.scores([f"{good}\n{bad}"]) == model.scores([f"{good} {bad}"])


@pytest.mark.parametrize("text", [*HOSTILE, "\ud800 lone", "a" * 100_000, "中文 текст"])
def test_scores_are_probabilities(lines: Path, tmp_path: Path, text: str) -> None:
    train(lines, SMALL).save_model(str(tmp_path / "m.bin"))
    (score,) = Classifier(tmp_path / "m.bin").scores([text])
    assert score is not None
    assert 0 <= score <= 1
    assert "\n" not in words_of(text)


@pytest.mark.parametrize("options", [None, Quantize(cutoff=0), Quantize(qnorm=False, cutoff=300)])
def test_a_model_cut_short_is_refused_at_every_length(
    options: Quantize | None, lines: Path, tmp_path: Path
) -> None:
    """fastText itself scores every page one half with such a file, or ends the process."""
    model = train(lines, SMALL)
    if options:
        quantize(model, lines, options)
    model.save_model(str(tmp_path / "whole.bin"))
    Classifier(tmp_path / "whole.bin")
    whole = (tmp_path / "whole.bin").read_bytes()
    for length in (8, 60, 100, 300, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.bin").write_bytes(whole[:length])
        with pytest.raises(WerpError, match=r"cut\.bin: cut short at"):
            Classifier(tmp_path / "cut.bin")


def test_a_model_written_on_a_full_disk_is_an_error(lines: Path, tmp_path: Path) -> None:
    class Full:
        def save_model(self, path: str) -> None:
            train(lines, SMALL).save_model(path)
            os.truncate(path, 5000)  # all that fitted; fastText's own writer stays silent

    with pytest.raises(WerpError, match=r"a\.bin: .*is the disk full"):
        save(Full(), tmp_path / "a.bin")


def test_a_model_too_small_to_quantise_says_so(tmp_path: Path) -> None:
    write_lines(tmp_path / "few.txt", rows(40))
    model = train(tmp_path / "few.txt", FastText(dim=4, bucket=1))
    with pytest.raises(WerpError, match="leave quantize out"):
        quantize(model, tmp_path / "few.txt", Quantize(cutoff=1))


def test_a_model_that_is_none_says_so(tmp_path: Path, lines: Path) -> None:
    (tmp_path / "x.ftz").write_bytes(b"not a model")
    with pytest.raises(WerpError, match=r"x\.ftz: not a fastText model"):
        Classifier(tmp_path / "x.ftz")
    with pytest.raises(WerpError, match="no such file"):
        Classifier(tmp_path / "y.ftz")
    train(lines, SMALL).save_model(str(tmp_path / "m.bin"))
    with pytest.raises(WerpError, match="has the labels"):
        Classifier(tmp_path / "m.bin", "better")
