"""A checkpoint in Hugging Face's form: Llama, or Qwen3 where the rung has QK-norm.

    python -m models.export --checkpoint out/model --output out/model-hf

The same decoder under other names: fused matrices are taken apart, nothing is computed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from models.checkpoint import load_checkpoint, make_folder, write_whole
from models.data import END
from models.decoder import NORM_EPS, ROPE_BASE, Decoder
from models.errors import ModelError
from models.ladder import Rung


def hugging_face_config(
    rung: Rung, vocabulary: int, window: int, end: int | None, dtype: str
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
        "eos_token_id": end, "pad_token_id": None, "torch_dtype": dtype,
    }  # fmt: skip


def hugging_face_weights(model: Decoder) -> dict[str, Tensor]:
    """The weights under Hugging Face's names."""
    rung, ours = model.rung, model.state_dict()
    keys = rung.key_heads * rung.head_width
    named = {
        "model.embed_tokens.weight": ours["embedding.weight"],
        "model.norm.weight": ours["norm.weight"],
        "lm_head.weight": ours["head.weight"],
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


def export(checkpoint: Path, output: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json.

    Raises ModelError for a folder that is no checkpoint, or an `output` that is one.
    """
    if (output / "config.json").exists():
        raise ModelError(f"--output {output}: holds a config.json already; name another folder")
    found = load_checkpoint(checkpoint, dtype=dtype)
    rung, end = found.model.rung, found.tokenizer.token_to_id(END)
    kind = str(dtype).removeprefix("torch.")
    window = found.config["train"]["window"]
    weights = {name: x.contiguous() for name, x in hugging_face_weights(found.model).items()}
    make_folder(output)
    write_whole(output / "model.safetensors", save(weights, metadata={"format": "pt"}))
    write_whole(output / "tokenizer.json", (checkpoint / "tokenizer.json").read_bytes())
    tokens = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "model_max_length": window}
    write_whole(output / "tokenizer_config.json", (json.dumps(tokens, indent=2) + "\n").encode())
    config = hugging_face_config(rung, found.model.vocabulary, window, end, kind)
    write_whole(output / "config.json", (json.dumps(config, indent=2) + "\n").encode())


def main() -> None:
    """The command line; a ModelError ends it with its text alone."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="a folder that models.train wrote")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16", help="of the weights")
    arguments = parser.parse_args()
    try:
        export(arguments.checkpoint, arguments.output, getattr(torch, arguments.dtype))
    except ModelError as error:
        sys.exit(f"error: {error}")
    print(f"{arguments.output}: load it with transformers.AutoModelForCausalLM.from_pretrained")


if __name__ == "__main__":
    main()
