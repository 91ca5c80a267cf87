"""Hugging Face folders: scores against transformers' own forward pass; what can't be shared is found out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers.processors import TemplateProcessing

from eval_harness.adapters import load_model
from eval_harness.adapters.huggingface import HuggingFaceModel
from eval_harness.errors import EvalError
from eval_harness.scorer import Ask, Scorer
from tests.eval_harness.tiny import tokenizer

TEXTS = ["The heat of the sun warms the earth. Question: What is it?\nAnswer: the sun, 42."] * 3
SHOTS = tuple(f"Question: number {i}?\nAnswer: it is {i}\n\n" for i in range(4))
ASKS = [
    Ask((f"Question: What is {i} of the sun?\nAnswer:",) * 3, (" heat", " the earth warms", f" {i}"), SHOTS)
    for i in range(5)
]
SIZE = {"vocab_size": 640, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SHAPES = {
    "llama": transformers.LlamaConfig(**SIZE, num_key_value_heads=2, intermediate_size=64),
    "gpt2": transformers.GPT2Config(vocab_size=640, n_embd=32, n_layer=2, n_head=4, n_positions=128),
    "gpt_neox": transformers.GPTNeoXConfig(**SIZE, intermediate_size=64),
    "olmo2": transformers.Olmo2Config(**SIZE, intermediate_size=64),
    "opt": transformers.OPTConfig(**SIZE, ffn_dim=64, word_embed_proj_dim=32, max_position_embeddings=128),
    "biogpt": transformers.BioGptConfig(**SIZE, intermediate_size=64, max_position_embeddings=128),
    "bert": transformers.BertConfig(
        **SIZE, intermediate_size=64, max_position_embeddings=128, is_decoder=True
    ),
    "roberta": transformers.RobertaConfig(  # its places begin at 2: 128 of 130 are left
        **SIZE, intermediate_size=64, max_position_embeddings=130, is_decoder=True, pad_token_id=1
    ),
    "gptj": transformers.GPTJConfig(
        vocab_size=640, n_embd=32, n_layer=2, n_head=4, n_positions=128, rotary_dim=4
    ),
    "openai-gpt": transformers.OpenAIGPTConfig(
        vocab_size=640, n_embd=32, n_layer=2, n_head=4, n_positions=128
    ),
    "mpt": transformers.MptConfig(vocab_size=640, d_model=32, n_layers=2, n_heads=4, max_seq_len=128),
    "bloom": transformers.BloomConfig(vocab_size=640, hidden_size=32, n_layer=2, n_head=4),
    "mistral": transformers.MistralConfig(
        **SIZE, num_key_value_heads=2, intermediate_size=64, sliding_window=16
    ),
}


def save(name: str, folder: Path) -> Any:
    """A model of random weights as a folder; returns the model."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(SHAPES[name]).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    tokenizer(TEXTS).save(str(folder / "tokenizer.json"))
    return model


@pytest.mark.parametrize("name", SHAPES)
def test_scores_equal_the_librarys_forward_pass(name: str, tmp_path: Path) -> None:
    reference, loaded = save(name, tmp_path), load_model(str(tmp_path), "cpu")
    assert isinstance(loaded, HuggingFaceModel)
    # Sliding windows, distances in place of positions, positions counted from 2: row by row.
    apart = {"mistral", "mpt", "bloom", "roberta", "openai-gpt"}
    assert loaded.shares_prefix == (name not in apart)
    assert loaded.hard_window == (name not in {"llama", "gpt_neox", "olmo2", "mistral", "bloom"})
    for ask, answer in zip(ASKS, Scorer(loaded).score(ASKS), strict=True):
        assert answer.shots == 4
        for context, continuation, log_p in zip(ask.contexts, ask.continuations, answer.log_p, strict=True):
            head = "".join(ask.shots) + context
            ids, start = loaded.encode([head + continuation])[0], len(loaded.encode([head])[0])
            with torch.inference_mode():
                logits = reference(torch.tensor([ids])).logits[0].double().log_softmax(-1)
            expected = sum(logits[t - 1, ids[t]].item() for t in range(start, len(ids)))
            assert log_p == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "opt", "biogpt", "bert", "roberta", "gptj", "openai-gpt", "mpt"])
def test_a_model_that_can_t_run_past_its_window_says_so(name: str, tmp_path: Path) -> None:
    """All but two ended in an IndexError, whether their tables are learned or fixed."""
    save(name, tmp_path)
    loaded = load_model(str(tmp_path), "cpu")
    long = Ask(("long " * 200,), (" text",))
    with pytest.raises(EvalError, match="does not fit the model's window of 128"):
        Scorer(loaded).score([long])
    ids = loaded.encode([" a" * 129])[0][:129]  # what just fits is scored
    assert Scorer(loaded).score_tokens([(ids[:-1], ids[-1:])])[0].length == 129


def test_a_model_whose_tokens_see_later_ones_is_refused(tmp_path: Path) -> None:
    config = transformers.BertConfig(**SIZE, intermediate_size=64, is_decoder=True)
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.config.is_decoder = False
    model.save_pretrained(tmp_path)
    tokenizer(TEXTS).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(EvalError, match="its tokens see those after them"):
        load_model(str(tmp_path), "cpu")


@pytest.mark.parametrize(
    ("template", "config", "expected"),
    [
        (True, None, ["<s>"]),  # Llama's and Gemma's tokenizer.json
        (False, {"add_bos_token": True, "bos_token": "<s>"}, ["<s>"]),  # OPT's
        (True, {"add_bos_token": True, "bos_token": {"content": "<s>"}}, ["<s>"]),
        (True, {"add_bos_token": False, "bos_token": "<s>"}, []),
        (False, {"bos_token": "<s>"}, []),  # GPT-2's
        (False, None, []),
    ],
)
def test_a_start_token_stands_before_every_text_where_the_tokenizer_says_so(
    template: bool, config: dict[str, Any] | None, expected: list[str], tmp_path: Path
) -> None:
    """Held to the library's own encoding of the texts, where it reads the same files."""
    reference = save("llama", tmp_path)
    words = tokenizer(TEXTS)
    words.add_special_tokens(["<s>", "</s>"])
    number = words.token_to_id("<s>")
    if template:
        words.post_processor = TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", number), ("</s>", number + 1)]
        )
    words.save(str(tmp_path / "tokenizer.json"))
    if config is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    loaded = load_model(str(tmp_path), "cpu")
    assert loaded.about()["start_tokens"] == expected
    answers = Scorer(loaded).score(ASKS)
    head = "".join(SHOTS) + ASKS[0].contexts[0]
    for continuation, log_p in zip(ASKS[0].continuations, answers[0].log_p, strict=True):
        start = [number] * len(expected)
        before = [*start, *words.encode(head, add_special_tokens=False).ids]
        ids = [*start, *words.encode(head + continuation, add_special_tokens=False).ids]
        with torch.inference_mode():
            logits = reference(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        wanted = sum(logits[t - 1, ids[t]].item() for t in range(len(before), len(ids)))
        assert log_p == pytest.approx(wanted, abs=1e-4)
    # A start token that is spelled is text.
    assert number not in loaded.encode(["<s> and </s>"])[0]


def test_a_start_token_that_is_not_there_is_named(tmp_path: Path) -> None:
    save("llama", tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text('{"add_bos_token": true, "bos_token": "<s>"}')
    with pytest.raises(EvalError, match=r"tokenizer_config\.json: add_bos_token is set, and bos_token '<s>'"):
        load_model(str(tmp_path), "cpu")
    path.write_text("[")
    with pytest.raises(EvalError, match=r"tokenizer_config\.json: not a tokenizer's configuration"):
        load_model(str(tmp_path), "cpu")


def test_what_can_t_be_loaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(EvalError, match=r"--model .*can't be loaded by transformers"):
        load_model(str(tmp_path), "cpu")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(EvalError, match="is no JSON"):
        load_model(str(tmp_path), "cpu")
    with pytest.raises(EvalError, match="--dtype: 'float8' is none of"):
        load_model(str(tmp_path), "cpu", "float8")
    with pytest.raises(EvalError, match="--device: 'tpu' is none of"):
        load_model(str(tmp_path), "tpu")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(EvalError, match="pip install transformers"):
        load_model(str(tmp_path), "cpu")
