"""models.data: which tokens a step sees, what is held out, and how many bytes a token is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from models.data import IGNORED, Tokens, TrainingWindows, held_out_batches, token_bytes
from models.errors import ModelError
from tests.models.folders import token_folder

TEXTS = [f"number {i} of many small texts, " * (1 + i % 4) for i in range(230)]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    return Tokens.open(token_folder(tmp_path_factory.mktemp("data"), TEXTS))


def test_an_epoch_sees_every_window_once_and_the_next_in_another_order(tokens: Tokens) -> None:
    windows = TrainingWindows(tokens, window=32, batch_size=1, seed=5)
    epochs = [
        [int(windows.starts(step)[0]) for step in range(e * windows.count, (e + 1) * windows.count)]
        for e in (0, 1)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == [32 * i for i in range(windows.count)]
    assert epochs[0] != epochs[1]
    assert windows.epochs(windows.count) == 1
    assert windows.count * 32 + windows.uncovered == windows.total
    assert 1 <= windows.uncovered <= 32


def test_a_step_depends_on_the_seed_and_its_number_alone(tokens: Tokens) -> None:
    first = TrainingWindows(tokens, 32, 3, seed=5)
    walked = [first.starts(step).tolist() for step in range(100)]
    again = TrainingWindows(tokens, 32, 3, seed=5)
    assert [again.starts(step).tolist() for step in reversed(range(100))] == walked[::-1]
    assert [TrainingWindows(tokens, 32, 3, seed=6).starts(step).tolist() for step in range(100)] != walked
    # The order of windows is the same whatever the batch size.
    flat = [start for row in walked for start in row]
    assert [int(TrainingWindows(tokens, 32, 1, seed=5).starts(step)[0]) for step in range(300)] == flat


def test_targets_are_the_next_tokens_and_never_another_documents(tokens: Tokens) -> None:
    batch = TrainingWindows(tokens, 32, 4, seed=1).batch(3)
    starts = TrainingWindows(tokens, 32, 4, seed=1).starts(3)
    document_of = np.repeat(np.arange(len(TEXTS)), np.diff(tokens.offsets))
    ignored = 0
    for row, start in enumerate(starts):
        for t in range(32):
            assert batch.tokens[row, t] == tokens.tokens[start + t]
            same = document_of[start + t] == document_of[start + t + 1]
            expected = int(tokens.tokens[start + t + 1]) if same else IGNORED
            assert batch.targets[row, t] == expected
            ignored += not same
        differs = torch.from_numpy(np.diff(document_of[start : start + 32]) != 0)
        assert torch.equal(batch.documents[row].diff() != 0, differs)
    assert ignored > 0


def test_the_last_hundredth_is_held_out_and_never_trained_on(tokens: Tokens) -> None:
    assert tokens.held_out_from == len(TEXTS) - 2
    windows = TrainingWindows(tokens, 32, 1, seed=0)
    begin = int(tokens.offsets[tokens.held_out_from])
    assert all(windows.starts(step)[0] + 32 < begin for step in range(windows.count))
    seen = torch.cat([batch.tokens[0] for batch in held_out_batches(tokens, 32, limit=10**6)])
    assert seen.tolist() == tokens.tokens[begin:-1].tolist()
    some = sum(batch.tokens.numel() for batch in held_out_batches(tokens, 16, limit=21))
    assert some == 20


def test_too_little_text_is_told(tmp_path: Path) -> None:
    two = Tokens.open(token_folder(tmp_path / "two", ["short", "text"]))
    with pytest.raises(ModelError, match="do not fill one window of 64"):
        TrainingWindows(two, window=64, batch_size=1, seed=0)
    one = Tokens.open(token_folder(tmp_path / "one", ["alone " * 100]))
    with pytest.raises(ModelError, match="one document"):
        TrainingWindows(one, window=8, batch_size=1, seed=0)


def test_a_folder_that_is_no_token_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokens\.arrow.*werp\.tokens"):
        Tokens.open(tmp_path)
    first, second = token_folder(tmp_path / "a", ["a b", "c"]), token_folder(tmp_path / "b", ["a b c d", "e"])
    (first / "offsets.arrow").write_bytes((second / "offsets.arrow").read_bytes())
    with pytest.raises(ModelError, match="does not belong"):
        Tokens.open(first)


def test_token_bytes_add_up_to_the_texts_bytes(tokens: Tokens) -> None:
    tokenizer = Tokenizer.from_file(str(tokens.folder / "tokenizer.json"))
    lengths = token_bytes(tokenizer)
    for text in ("number 7 of many", "naïve 你好 🙂\n\n\t  x", ""):
        assert lengths[tokenizer.encode(text).ids].sum() == len(text.encode())
    assert lengths[tokens.metadata["end_token"]] == 0


@pytest.mark.parametrize(
    "file",
    [
        "gpt2/tokenizer.json",
        "gpt-neox-20b/allenai_gpt-neox-olmo-dolma-v1_5.json",
        "dolma2/allenai_dolma2.json",
    ],
)
def test_token_bytes_of_published_tokenizers(werp_data: Path, file: str) -> None:
    tokenizer = Tokenizer.from_file(str(werp_data / "tokenizers" / file))
    text = "Hello   wörld 你好 🙂\n\n        def f(x):\n\t return x"
    assert token_bytes(tokenizer)[tokenizer.encode(text).ids].sum() == len(text.encode())
