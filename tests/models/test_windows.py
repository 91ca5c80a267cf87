"""models.data: which tokens a step sees, what is held out, and how many bytes a token is."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from tokenizers import Tokenizer

from models.attention import packing
from models.data import (
    END,
    IGNORED,
    DataOrder,
    Tokens,
    TrainingWindows,
    held_out_batches,
    quotas,
    token_bytes,
)
from models.errors import ModelError
from models.prefetch import Prefetcher, join_documents
from tests.models.folders import same_tokenizer, token_folder

TEXTS = [f"number {i} of many small texts, " * (1 + i % 4) for i in range(230)]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    return Tokens.open(token_folder(tmp_path_factory.mktemp("data"), TEXTS))


def order_of(tokens: Tokens, batch_size: int = 1, seed: int = 5, window: int = 32) -> DataOrder:
    return DataOrder([tokens], window, batch_size, seed)


def starts(order: DataOrder, step: int) -> list[int]:
    return [row.start for row in order.rows(step)]


def test_an_epoch_sees_every_window_once_and_the_next_in_another_order(tokens: Tokens) -> None:
    order = order_of(tokens)
    (source,) = order.sources
    epochs = [[starts(order, e * source.count + i)[0] for i in range(source.count)] for e in (0, 1)]
    expected = [begin for s in tokens.stretches for begin in range(s.begin, s.cut - 32, 32)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == expected
    assert epochs[0] != epochs[1]
    assert order.epochs(source.count) == [1.0]
    assert source.count * 32 + source.uncovered == source.total


def test_a_step_depends_on_the_seed_and_its_number_alone(tokens: Tokens) -> None:
    first = order_of(tokens, 3)
    walked = [starts(first, step) for step in range(100)]
    again = order_of(tokens, 3)
    assert [starts(again, step) for step in reversed(range(100))] == walked[::-1]
    assert [starts(order_of(tokens, 3, seed=6), step) for step in range(100)] != walked
    # The order of windows is the same whatever the batch size.
    flat = [start for row in walked for start in row]
    assert [starts(order_of(tokens, 1), step)[0] for step in range(300)] == flat


def test_processes_share_a_step_without_changing_it(tokens: Tokens) -> None:
    order = order_of(tokens, 8)
    whole = order.batch(order.rows(2)).tokens
    for world, micro in ((1, 3), (2, 4), (4, 1)):
        parts = []
        for rank in range(world):
            prefetcher = Prefetcher(order, 2, micro, torch.device("cpu"), True, rank, world)
            step = next(prefetcher)
            prefetcher.close()
            assert (step.number, step.rows) == (2, order.rows(2))
            parts += [part.tokens for part in step.micro_batches]
        assert torch.equal(torch.cat(parts), whole)


def test_a_mixture_gives_each_source_its_share(tokens: Tokens, tmp_path: Path) -> None:
    other = Tokens.open(same_tokenizer(tokens, tmp_path, [f"other {i} text, " * 5 for i in range(60)]))
    order = DataOrder([tokens, other], 16, 4, seed=1, weights=[1, 3])
    assert order.quotas == [256, 768]
    rows = [row for step in range(512) for row in order.rows(step)]  # two cycles
    assert [sum(row.source == i for row in rows) for i in (0, 1)] == [512, 1536] == order.consumed(512)
    # The up-sampled source is gone through in whole epochs, each window as often as any other.
    seen = Counter(row.start for row in rows if row.source == 1)
    assert len(seen) == order.sources[1].count
    assert max(seen.values()) - min(seen.values()) <= 1
    assert order.epochs(512)[1] == 1536 / order.sources[1].count
    assert [row for step in range(100, 103) for row in order.rows(step)] == rows[400:412]
    partial = [row for step in range(77) for row in order.rows(step)]
    assert order.consumed(77) == [sum(row.source == i for row in partial) for i in (0, 1)]
    batch = order.batch(rows[:2])
    assert batch.tokens.shape == (2, 16)


def test_shares_are_by_size_unless_weighted_and_tokenizers_must_agree(tokens: Tokens, tmp_path: Path) -> None:
    assert quotas([1, 1, 1]) == [342, 341, 341]
    assert quotas([1, 10**9]) == [1, 1023]
    with pytest.raises(ModelError, match="must be positive"):
        quotas([1, 0])
    stranger = Tokens.open(token_folder(tmp_path / "x", TEXTS[:150], vocab_size=280))
    with pytest.raises(ModelError, match="another tokenizer"):
        DataOrder([tokens, stranger], 16, 1, 0)


def test_the_fingerprint_follows_tokens_weights_and_window(tokens: Tokens, tmp_path: Path) -> None:
    other = Tokens.open(same_tokenizer(tokens, tmp_path, TEXTS[:150]))
    prints = {
        DataOrder([tokens], 32, 1, 0).fingerprint, DataOrder([tokens], 16, 1, 0).fingerprint,
        DataOrder([other], 32, 1, 0).fingerprint, DataOrder([tokens, other], 32, 1, 0).fingerprint,
        DataOrder([tokens, other], 32, 1, 0, [1, 9]).fingerprint,
    }  # fmt: skip
    assert len(prints) == 5
    assert DataOrder([tokens], 32, 7, 3).fingerprint == DataOrder([tokens], 32, 1, 0).fingerprint


def test_the_fingerprint_follows_the_tokenizer(tokens: Tokens) -> None:
    """The same numbers mean other texts."""
    other = dataclasses.replace(tokens, metadata={**tokens.metadata, "tokenizer_sha256": "another"})
    assert DataOrder([tokens], 32, 1, 0).fingerprint != DataOrder([other], 32, 1, 0).fingerprint


def test_each_source_has_an_order_of_its_own(tokens: Tokens) -> None:
    orders = [TrainingWindows(tokens, 32, 5, source) for source in (0, 1, 2)]
    drawn = [[order.start(i) for i in range(order.count)] for order in orders]
    assert sorted(drawn[0]) == sorted(drawn[1]) == sorted(drawn[2])
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]


def test_windows_that_fill_a_stretch_to_its_end_leave_their_last_target_held_out(tokens: Tokens) -> None:
    """The target of a window's last position lies beyond it: where that is held out, there is no window."""
    lengths = [s.cut - s.begin for s in tokens.stretches]
    tried = {length // parts for length in lengths for parts in range(1, 400) if length % parts == 0}
    assert len(tried) > 4
    for window in sorted(tried - {1}):
        if window >= max(lengths):
            continue
        order = TrainingWindows(tokens, window, 0)
        for i in range(order.count):
            positions = range(order.start(i), order.start(i) + window + 1)
            assert any(s.begin <= positions[0] and positions[-1] < s.cut for s in tokens.stretches)


def test_targets_are_the_next_tokens_and_never_another_documents(tokens: Tokens) -> None:
    order = order_of(tokens, 4, seed=1)
    rows = order.rows(3)
    batch = order.batch(rows)
    document_of = np.repeat(np.arange(len(TEXTS)), np.diff(tokens.offsets))
    ignored = 0
    for i, row in enumerate(rows):
        for t in range(32):
            assert batch.tokens[i, t] == tokens.tokens[row.start + t]
            same = document_of[row.start + t] == document_of[row.start + t + 1]
            expected = int(tokens.tokens[row.start + t + 1]) if same else IGNORED
            assert batch.targets[i, t] == expected
            ignored += not same
        differs = torch.from_numpy(np.diff(document_of[row.start : row.start + 32]) != 0)
        assert torch.equal(batch.documents[i].diff() != 0, differs)
    assert ignored > 0


def test_a_packing_begins_at_every_row_and_document() -> None:
    documents = torch.tensor([[4, 4, 5, 5, 5], [5, 5, 5, 6, 7]])
    pack = packing(documents)
    assert pack.boundaries_S1.tolist() == [0, 2, 5, 8, 9, 10]
    assert pack.longest == 3


def test_joined_documents_have_every_next_token_as_target(tokens: Tokens) -> None:
    order = order_of(tokens, 2)
    batch = order.batch(order.rows(0))
    joined = join_documents(batch)
    assert torch.equal(joined.targets[:, :-1], batch.tokens[:, 1:])
    assert (joined.documents == 0).all()


def test_a_hundredth_of_each_stretch_is_held_out_and_never_trained_on(tokens: Tokens) -> None:
    first, second = tokens.stretches  # 230 documents: two stretches of 115
    ends = tokens.offsets[[0, 114, 115, 229, 230]].tolist()
    assert [first.begin, first.cut, first.end, second.cut, second.end] == ends
    order = order_of(tokens)
    held = [range(s.cut, s.end) for s in tokens.stretches]
    for step in range(order.sources[0].count):
        start = starts(order, step)[0]
        assert all(start + 32 < h.start or start >= h.stop for h in held)
    for rows in (1, 4):
        parts = [batch.tokens.flatten() for batch in held_out_batches(tokens, 32, 10**6, rows)]
        expected = [tokens.tokens[s.cut : s.end - 1] for s in tokens.stretches]
        assert torch.cat(parts).tolist() == np.concatenate(expected).tolist()
    some = sum(batch.tokens.numel() for batch in held_out_batches(tokens, 16, limit=42))
    assert some == sum(min(21, s.end - s.cut) - 1 for s in tokens.stretches)


def test_too_little_text_is_told(tmp_path: Path) -> None:
    two = Tokens.open(token_folder(tmp_path / "two", ["short", "text"]))
    with pytest.raises(ModelError, match="do not fill one window of 64"):
        TrainingWindows(two, window=64, seed=0)
    one = Tokens.open(token_folder(tmp_path / "one", ["alone " * 100]))
    with pytest.raises(ModelError, match="one document"):
        TrainingWindows(one, window=8, seed=0)


def test_a_folder_that_is_no_token_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokens\.arrow: no such file; write it with werp tokenize"):
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


def test_token_bytes_of_other_kinds_of_vocabulary() -> None:
    """SentencePiece's form, of whole words and single bytes; of WordPiece's nothing is claimed."""
    entries = ["<0xE4>", "<0xBD>", "<0xA0>", "▁好", "▁", "n", "a", "ï", END, "好"]
    words = {entry: number for number, entry in enumerate(entries)}
    sentence = Tokenizer(tokenizers.models.BPE(words, [("▁", "好")], byte_fallback=True))
    sentence.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    text = "naï 好 你"
    assert token_bytes(sentence)[sentence.encode(text).ids].sum() == len(text.encode()) + 1  # a blank before
    assert token_bytes(sentence)[8] == 0  # it ends documents, though its tokenizer does not call it special
    pieces = Tokenizer(tokenizers.models.WordPiece({"a": 0, "##b": 1, END: 2}, unk_token="a"))
    assert token_bytes(pieces).tolist() == [0, 0, 0]


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
