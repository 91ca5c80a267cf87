"""A checkpoint in Hugging Face's form: Llama, or Qwen3 where the rung has QK-norm.

    python -m models.export --checkpoint out/model --output out/model-hf

The same decoder under other names: fused matrices are taken apart, nothing is computed. The embedding's rows
beyond the tokenizer's entries, which only fill it up to a multiple of 128, are left out: nobody can draw an
id that has no text. The probability that the model left to them goes to the entries, see docs/training.md.

A batch is padded with the tokenizer's own padding token, or else with the end token, on the left, as
generation needs it. Attention masks keep padding out of every score. transformers gives the padding token's
embedding no gradient: who trains an export on documents that are joined by the end token sets
`model.get_input_embeddings().padding_idx = None` first.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from tokenizers import Tokenizer
from torch import Tensor

from models.checkpoint import load_checkpoint, make_folder, write_whole
from models.data import END
from models.decoder import NORM_EPS, ROPE_BASE, Decoder
from models.errors import ModelError
from models.ladder import Rung
from models.local import local_path

PADDING = ("<|padding|>", "<|pad|>", "<pad>", "[PAD]")  # what tokenizers call theirs


def hugging_face_config(
    rung: Rung, vocabulary: int, window: int, end: int | None, pad: int | None, dtype: str
) -> dict[str, Any]:
    """The content of config.json."""
    family = ("Qwen3ForCausalLM", "qwen3") if rung.qk_norm else ("LlamaForCausalLM", "llama")
    return {
        "architectures": [family[0]], "model_type": family[1], "vocab_size": vocabulary,
        "hidden_size": rung.width,
        "intermediate_size": rung.hidden_width, "num_hidden_layers": rung.layers,
        "num_attention_heads": rung.heads, "num_key_value_heads": rung.key_heads, "head_dim": rung.head_width,
        "hidden_act": "silu", "max_position_embeddings": window, "rms_norm_eps": NORM_EPS,
        "rope_theta": ROPE_BASE,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_BASE},
        "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": False, "bos_token_id": None,
        "eos_token_id": end, "pad_token_id": pad, "torch_dtype": dtype,
    }  # fmt: skip


def hugging_face_weights(model: Decoder, entries: int) -> dict[str, Tensor]:
    """The weights under Hugging Face's names, of the first `entries` rows of the vocabulary."""
    rung, ours = model.rung, model.state_dict()
    keys = rung.key_heads * rung.head_width
    named = {
        "model.embed_tokens.weight": ours["embedding.weight"][:entries],
        "model.norm.weight": ours["norm.weight"],
        "lm_head.weight": ours["head.weight"][:entries],
    }
    for i in range(rung.layers):
        here, there = f"blocks.{i}.", f"model.layers.{i}."
        q, k, v = ours[here + "attention.qkv.weight"].split((rung.width, keys, keys))
        gate_up = ours[here + "hidden.gate_up.weight"]
        named |= {
            there + "self_attn.q_proj.weight": q,
            there + "self_attn.k_proj.weight": k,
            there + "self_attn.v_proj.weight": v,
            there + "self_attn.o_proj.weight": ours[here + "attention.out.weight"],
            there + "mlp.gate_proj.weight": gate_up[0::2],
            there + "mlp.up_proj.weight": gate_up[1::2],
            there + "mlp.down_proj.weight": ours[here + "hidden.down.weight"],
            there + "input_layernorm.weight": ours[here + "attention_norm.weight"],
            there + "post_attention_layernorm.weight": ours[here + "hidden_norm.weight"],
        }
        if rung.qk_norm:
            named[there + "self_attn.q_norm.weight"] = ours[here + "attention.query_norm.weight"]
            named[there + "self_attn.k_norm.weight"] = ours[here + "attention.key_norm.weight"]
    return named


def padding(tokenizer: Tokenizer) -> str | None:
    """The token that fills up a batch: the tokenizer's own, or the end token; None where it has neither."""
    # An entry that is not special already would be cut out of texts once it pads.
    special = {x.content for x in tokenizer.get_added_tokens_decoder().values() if x.special}
    known = ((tokenizer.padding or {}).get("pad_token"), *PADDING)
    found = next((name for name in known if name in special), None)
    return found or (END if tokenizer.token_to_id(END) is not None else None)


def export(checkpoint: Path, output: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write config.json, generation_config.json, model.safetensors, tokenizer.json and tokenizer_config.json.

    Raises ModelError for a folder that is no checkpoint, or an `output` that is one.
    """
    if (output / "config.json").exists():
        raise ModelError(f"--output {output}: holds a config.json already; name another folder")
    found = load_checkpoint(checkpoint, dtype=dtype)
    model, tokenizer = found.model, found.tokenizer
    entries = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    if entries > model.vocabulary:
        raise ModelError(
            f"{checkpoint}: its tokenizer has {entries} entries, the model {model.vocabulary}: they do not "
            "belong together; train the model again"
        )
    end, pad = tokenizer.token_to_id(END), padding(tokenizer)
    pad_id = None if pad is None else tokenizer.token_to_id(pad)
    kind = str(dtype).removeprefix("torch.")
    window = found.config["train"]["window"]
    weights = {name: x.contiguous() for name, x in hugging_face_weights(model, entries).items()}
    make_folder(output)
    write_whole(output / "model.safetensors", save(weights, metadata={"format": "pt"}))
    write_whole(output / "tokenizer.json", (checkpoint / "tokenizer.json").read_bytes())
    special = {"eos_token": None if end is None else END, "pad_token": pad}
    tokens = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": window,
        "padding_side": "left",
    }
    write_json(output / "tokenizer_config.json", tokens | special)
    write_json(output / "generation_config.json", {"eos_token_id": end, "pad_token_id": pad_id})
    config = hugging_face_config(model.rung, entries, window, end, pad_id, kind)
    write_json(output / "config.json", config)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file whole."""
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())


def main() -> None:
    """The command line; a ModelError ends it with its text alone."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkpoint", type=local_path, required=True, help="a folder that models.train wrote"
    )
    parser.add_argument("--output", type=local_path, required=True, help="the folder to write")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16", help="of the weights")
    arguments = parser.parse_args()
    try:
        export(arguments.checkpoint, arguments.output, getattr(torch, arguments.dtype))
    except ModelError as error:
        sys.exit(f"error: {error}")
    print(f"{arguments.output}: load it with transformers.AutoModelForCausalLM.from_pretrained")


if __name__ == "__main__":
    main()
