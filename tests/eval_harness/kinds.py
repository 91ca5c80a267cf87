"""Small tokenizers of every kind that the library has, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
END = "<|endoftext|>"
#: What each model is trained with, beside the special tokens.
MODELS: dict[str, Callable[[], tuple[models.Model, trainers.Trainer]]] = {
    "bpe": lambda: (models.BPE(unk_token="[UNK]"), _trainer(trainers.BpeTrainer)),
    "unigram": lambda: (models.Unigram(), _trainer(trainers.UnigramTrainer, unk_token="[UNK]")),
    "wordpiece": lambda: (models.WordPiece(unk_token="[UNK]"), _trainer(trainers.WordPieceTrainer)),
    "wordlevel": lambda: (models.WordLevel(unk_token="[UNK]"), _trainer(trainers.WordLevelTrainer)),
}


def _trainer(kind: Callable[..., trainers.Trainer], **more: str) -> trainers.Trainer:
    return kind(vocab_size=500, special_tokens=["[UNK]", END, "<s>", "</s>"], show_progress=False, **more)


def trained(
    model: str,
    texts: Sequence[str],
    before: pre_tokenizers.PreTokenizer | None,
    normalizer: normalizers.Normalizer | None = None,
) -> Tokenizer:
    """A tokenizer of a kind, trained on the texts."""
    made, trainer = MODELS[model]()
    tokenizer = Tokenizer(made)
    if before is not None:
        tokenizer.pre_tokenizer = before
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def splits(pattern: str) -> pre_tokenizers.PreTokenizer:
    """A pattern's matches, then bytes."""
    regex = pre_tokenizers.Split(Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([regex, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def kinds(texts: Sequence[str]) -> dict[str, tuple[Tokenizer, bool]]:
    """Tokenizers by name, and whether a text may be cut before a blank."""
    pre, norm = pre_tokenizers, normalizers
    byte = pre.ByteLevel(add_prefix_space=False)
    over = trained("bpe", texts, byte)
    over.add_tokens([AddedToken("the sun", normalized=False)])
    takes = trained("bpe", texts, byte)
    takes.add_tokens([AddedToken("Answer:", rstrip=True, normalized=False)])
    return {
        "byte-level": (trained("bpe", texts, byte), True),
        "byte-level, blank before": (trained("bpe", texts, pre.ByteLevel(add_prefix_space=True)), True),
        "NFC": (trained("bpe", texts, byte, norm.NFC()), True),
        "lower case": (trained("bpe", texts, byte, norm.Sequence([norm.NFKC(), norm.Lowercase()])), True),
        "cl100k": (trained("bpe", texts, splits(CL100K)), True),
        "lines": (trained("bpe", texts, splits(r"[^\n]+|\n+")), False),
        "quotes": (trained("bpe", texts, splits(rf'"[^"]*"|{CL100K}')), False),
        "numbers from the right": (trained("bpe", texts, splits(r"\d{1,3}(?=(\d{3})*$)|" + CL100K)), False),
        "nothing before": (trained("bpe", texts, None), False),
        "bytes, no words": (
            trained("bpe", texts, pre.ByteLevel(add_prefix_space=False, use_regex=False)), False,
        ),
        "strip": (trained("bpe", texts, byte, norm.Strip()), False),
        "prepend": (trained("bpe", texts, byte, norm.Prepend("_")), False),
        "replace": (trained("bpe", texts, byte, norm.Replace(": ", ":")), False),
        "blanks of many": (trained("bpe", texts, byte, norm.Replace(Regex(" {2,}"), " ")), True),
        "sentencepiece": (
            trained("unigram", texts, None,
                    norm.Sequence([norm.Prepend("▁"), norm.Replace(" ", "▁")])), False,
        ),
        "metaspace": (trained("unigram", texts, pre.Metaspace(prepend_scheme="first")), True),
        "metaspace, whole": (trained("unigram", texts, pre.Metaspace(split=False)), False),
        "words": (trained("wordlevel", texts, pre.Whitespace()), True),
        "words at blanks": (trained("wordlevel", texts, pre.WhitespaceSplit()), True),
        "bert": (trained("wordpiece", texts, pre.BertPreTokenizer(), norm.BertNormalizer()), True),
        "digits": (trained("bpe", texts, pre.Digits(individual_digits=True)), False),
        "scripts": (trained("unigram", texts, pre.UnicodeScripts()), False),
        "an added token over a blank": (over, False),
        "an added token that takes the blank behind": (takes, False),
    }  # fmt: skip
