"""The decoder beside transformers' own: the same loss, gradients, training and logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from models.checkpoint import save_checkpoint
from models.decoder import Decoder
from models.errors import ModelError
from models.export import export, hugging_face_config, hugging_face_weights
from models.ladder import Rung
from tests.models.folders import token_folder

transformers = pytest.importorskip("transformers", reason="the peer is a development package")

VOCABULARY, WINDOW = 128, 24
RUNGS = [
    Rung("plain", width=32, heads=4, layers=2),
    Rung("grouped", width=32, heads=4, layers=2, hidden=80, kv_heads=2),
    Rung("normed", width=32, heads=2, layers=2, qk_norm=True),
]


def peer_of(model: Decoder) -> Any:
    config = hugging_face_config(model.rung, VOCABULARY, WINDOW, 0, None, "float32")
    family = getattr(transformers, config.pop("architectures")[0])
    config.pop("model_type")
    peer = family(family.config_class(**config, attn_implementation="sdpa"))
    peer.load_state_dict(hugging_face_weights(model, VOCABULARY))
    return peer.float()


def loss_of(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_loss_and_gradients_are_the_peers(rung: Rung) -> None:
    torch.manual_seed(0)
    model = Decoder(rung, VOCABULARY)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    peer = peer_of(model)
    ids = torch.randint(VOCABULARY, (3, WINDOW))
    ours, theirs = loss_of(model(ids), ids), loss_of(peer(input_ids=ids).logits, ids)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    ours.backward()
    theirs.backward()
    gradients = {name: p.grad for name, p in peer.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.copy_(parameter.grad)
    for name, gradient in hugging_face_weights(model, VOCABULARY).items():
        assert (gradient - gradients[name]).norm() <= 1e-5 * gradients[name].norm(), name


def test_two_hundred_steps_follow_the_peers() -> None:
    torch.manual_seed(0)
    model = Decoder(RUNGS[0], VOCABULARY)
    peer = peer_of(model)
    texts = torch.randint(VOCABULARY, (40, WINDOW)).repeat(1, 2)[
        :, : WINDOW + 6
    ]  # the last six are predictable
    curves = []
    for network, logits_of in ((model, model), (peer, lambda ids: peer(input_ids=ids).logits)):
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
        losses = []
        for step in range(200):
            ids = texts[torch.arange(step * 4, step * 4 + 4) % 40]
            loss = loss_of(logits_of(ids), ids)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        curves.append(torch.tensor(losses))
    assert curves[0][-1] < 0.6 * curves[0][0]
    assert (curves[0] - curves[1]).abs().max() < 2e-3  # float32 sums in another order, 200 steps on


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_an_export_loads_there_and_gives_our_logits(rung: Rung, tmp_path: Path) -> None:
    tokens = token_folder(tmp_path, ["a few words of text to make a tokenizer of"] * 9, vocab_size=260)
    torch.manual_seed(1)
    model = Decoder(rung, 384)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    about = {"train": {"window": WINDOW}}
    save_checkpoint(tmp_path / "ours", model, (tokens / "tokenizer.json").read_bytes(), about)
    from tokenizers import Tokenizer  # noqa: PLC0415

    ours_tokenizer = Tokenizer.from_file(str(tokens / "tokenizer.json"))
    entries = ours_tokenizer.get_vocab_size()
    assert entries < 384
    ids = torch.randint(entries, (2, WINDOW))
    for dtype, bound in ((torch.float32, 1e-5), (torch.bfloat16, 3e-2)):
        output = tmp_path / str(dtype)
        export(tmp_path / "ours", output, dtype)
        peer = transformers.AutoModelForCausalLM.from_pretrained(output, dtype=dtype)
        with torch.inference_mode():
            ours, theirs = model.to(dtype)(ids).float(), peer(input_ids=ids).logits.float()
        assert theirs.shape[-1] == peer.config.vocab_size == entries  # without the rows that fill up
        ours = ours[..., :entries]
        assert (ours - theirs).norm() < bound * theirs.norm()
    text = "a few words"
    fast = transformers.AutoTokenizer.from_pretrained(output)
    assert fast(text)["input_ids"] == ours_tokenizer.encode(text).ids
    assert fast.get_vocab() == ours_tokenizer.get_vocab()
    assert (peer.config.max_position_embeddings, fast.model_max_length) == (WINDOW, WINDOW)
    config = json.loads((output / "config.json").read_text())
    assert (config["rope_theta"], config["rms_norm_eps"]) == (10_000.0, 1e-6)


@pytest.mark.parametrize(
    ("named", "expected"),
    [([], "<|endoftext|>"), (["<|padding|>"], "<|padding|>"), (["[PAD]", "<pad>"], "<pad>")],
)
def test_a_batch_of_an_export_scores_and_goes_on_as_each_text_does_alone(
    named: list[str], expected: str, tmp_path: Path
) -> None:
    """As a stranger does it: nothing but the folder, padding, and the mask that comes with it."""
    from tokenizers import AddedToken, Tokenizer  # noqa: PLC0415

    folder = token_folder(tmp_path, ["a few words of text to make a tokenizer of"] * 9, vocab_size=270)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in named])
    torch.manual_seed(1)
    model = Decoder(RUNGS[1], 384)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_checkpoint(tmp_path / "ours", model, tokenizer.to_str().encode(), {"train": {"window": WINDOW}})
    export(tmp_path / "ours", tmp_path / "theirs", torch.float32)
    fast = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    peer = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "theirs")
    assert fast.pad_token == expected
    assert fast.get_vocab() == tokenizer.get_vocab()
    assert len(fast) == peer.config.vocab_size == peer.get_input_embeddings().weight.shape[0]
    assert fast.pad_token_id == peer.config.pad_token_id == peer.generation_config.pad_token_id
    assert fast.eos_token_id == peer.config.eos_token_id == peer.generation_config.eos_token_id
    texts = ["a few", "words of text to make", "a"]
    batch = fast(texts, padding=True, return_tensors="pt")
    width = batch["input_ids"].shape[1]
    with torch.inference_mode():
        for side in ("left", "right"):
            fast.padding_side = side
            logits = peer(**fast(texts, padding=True, return_tensors="pt")).logits.log_softmax(-1)
            for row, text in zip(logits, texts, strict=True):
                ids = torch.tensor([tokenizer.encode(text).ids])
                n = ids.shape[1]
                alone = model(ids)[0, :, : len(fast)].log_softmax(-1)
                here = row[width - n :] if side == "left" else row[:n]
                torch.testing.assert_close(here, alone, rtol=1e-4, atol=1e-4)
        drawn = peer.generate(**batch, max_new_tokens=6, do_sample=False)[:, width:]
        for row, text in zip(drawn, texts, strict=True):
            ids = tokenizer.encode(text).ids
            for token in row.tolist():
                assert token == int(model(torch.tensor([ids]))[0, -1, : len(fast)].argmax())
                ids.append(token)
                if token == fast.eos_token_id:
                    break


def test_a_tokenizer_with_more_entries_than_the_model_is_no_export(tmp_path: Path) -> None:
    tokens = token_folder(tmp_path / "text", ["some words to make tokens of"] * 3)
    tokenizer = (tokens / "tokenizer.json").read_bytes()
    save_checkpoint(tmp_path / "ours", Decoder(RUNGS[0], 128), tokenizer, {"train": {"window": WINDOW}})
    with pytest.raises(ModelError, match=r"tokenizer has 2\d\d entries, the model 128"):
        export(tmp_path / "ours", tmp_path / "theirs")


def test_an_export_has_a_folder_of_its_own(tmp_path: Path) -> None:
    tokens = token_folder(tmp_path / "text", ["some words to make tokens of"] * 3)
    tokenizer = (tokens / "tokenizer.json").read_bytes()
    save_checkpoint(tmp_path / "ours", Decoder(RUNGS[0], 384), tokenizer, {"train": {"window": WINDOW}})
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match=r"output: .*file can't be made"):
        export(tmp_path / "ours", tmp_path / "file")
    with pytest.raises(ModelError, match=r"holds a config\.json already"):
        export(tmp_path / "ours", tmp_path / "ours")
