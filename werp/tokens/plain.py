"""A tokenizer that reads every text as text: no spelling in it stands for a special token.

The library's switch `encode_special_tokens` keeps special tokens from being looked for before the model sees
a text. But they are entries of most models' vocabularies, too, and a model that looks whole pieces up
(Unigram, WordLevel, WordPiece, BPE with `ignore_merges`) finds them there: a page that spells `<|endoftext|>`
would end its document. So here their entries bear names that no text can spell. Ids stay as they are.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from tokenizers import Tokenizer

END = "<|endoftext|>"
#: Stands between the secret part of a hidden name and the name; no character, so no file's token holds it.
_MARK = "\ufdd0"


def plain(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that encodes text alone, whole and in one way: neither truncated nor padded, without dropout.

    Its special tokens have other names (`end_of` finds the one that ends documents) and the same ids.
    """
    facts = json.loads(tokenizer.to_str())
    facts["truncation"] = facts["padding"] = None
    model = facts["model"]
    if "dropout" in model:
        model["dropout"] = None
    special = {END} | {token["content"] for token in facts["added_tokens"] if token["special"]}
    secret = secrets.token_hex(16)  # in no result: only what no author of a page can know
    # A single character may be a letter of the model's alphabet, without which texts lose it.
    hidden = {name: f"{secret}{_MARK}{name}" for name in special if len(name) > 1}
    end = tokenizer.token_to_id(END)
    if end is not None and END not in {token["content"] for token in facts["added_tokens"]}:
        facts["added_tokens"].append({"id": end, "content": END})
    facts["added_tokens"] = [
        {**token, "content": hidden[token["content"]], **_NEVER} if token["content"] in hidden else token
        for token in facts["added_tokens"]
    ]
    _rename(model, hidden)
    made = Tokenizer.from_str(json.dumps(facts))
    made.encode_special_tokens = True
    return made


#: How an added token is that nothing looks for.
_NEVER = {"special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}


def _rename(model: dict[str, Any], hidden: dict[str, str]) -> None:
    """Give entries of a model's vocabulary other names; merges that would make them go."""
    if isinstance(model["vocab"], list):  # Unigram: an entry's id is its place
        model["vocab"] = [[hidden.get(piece, piece), score] for piece, score in model["vocab"]]
    else:
        model["vocab"] = {hidden.get(piece, piece): number for piece, number in model["vocab"].items()}
    if model.get("unk_token") in hidden:
        model["unk_token"] = hidden[model["unk_token"]]
    if "merges" in model:
        prefix = model.get("continuing_subword_prefix") or ""
        model["merges"] = [
            (left, right)
            for left, right in model["merges"]
            if not {left, right, left + right.removeprefix(prefix)} & hidden.keys()
        ]


def end_of(tokenizer: Tokenizer) -> int | None:
    """The id of the token that ends documents, of a tokenizer as it is or of its plain copy."""
    for number, token in tokenizer.get_added_tokens_decoder().items():
        if token.content.rpartition(_MARK)[2] == END:
            return int(number)
    entry = tokenizer.token_to_id(END)
    return None if entry is None else int(entry)
