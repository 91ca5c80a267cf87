"""Hugging Face folders: scores against transformers' own forward pass; what can't be shared is found out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

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
    assert loaded.shares_prefix == (name != "mistral")  # a sliding window is scored row by row
    assert loaded.hard_window == (name == "gpt2")
    for ask, answer in zip(ASKS, Scorer(loaded).score(ASKS), strict=True):
        assert answer.shots == 4
        for context, continuation, log_p in zip(ask.contexts, ask.continuations, answer.log_p, strict=True):
            head = "".join(ask.shots) + context
            ids, start = loaded.encode([head + continuation])[0], len(loaded.encode([head])[0])
            with torch.inference_mode():
                logits = reference(torch.tensor([ids])).logits[0].double().log_softmax(-1)
            expected = sum(logits[t - 1, ids[t]].item() for t in range(start, len(ids)))
            assert log_p == pytest.approx(expected, abs=1e-4)


def test_a_model_that_can_t_run_past_its_window_says_so(tmp_path: Path) -> None:
    save("gpt2", tmp_path)
    loaded = load_model(str(tmp_path), "cpu")
    long = Ask(("long " * 200,), (" text",))
    with pytest.raises(EvalError, match="does not fit the model's window of 128"):
        Scorer(loaded).score([long])


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
