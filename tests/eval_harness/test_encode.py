"""A request's tokens are those of its whole text, whatever the tokenizer, and whatever was asked before."""

from __future__ import annotations

import random

import pytest
from tokenizers import Tokenizer

from eval_harness.adapters.checkpoint import CheckpointModel
from eval_harness.encode import CUTS, Encoder, made_up, split, splits_at_blanks
from eval_harness.errors import EvalError
from eval_harness.scorer import Ask, Scorer
from tests.eval_harness.kinds import CL100K, END, kinds, splits, trained
from tests.eval_harness.tiny import checkpoint
from werp.tokens.plain import end_of, plain

TEXTS = [
    "The heat of the sun warms the earth and the water. Question: What is it?\nAnswer: the sun, 42.",
    "It's 1234567 of 89, don't \"say it all\" (naïve 你好)\n\n  and so on",
] * 3
KINDS = kinds(TEXTS)
STEMS = ["", "The heat", "Question: Why?\nAnswer: the sun.", "a 12", 'He said "it', "one\n\ntwo ", "x" * 40]
ITEMS = ["", "\n\nQuestion: What is 4", " the earth\nAnswer:", "56", "  ", '", then', "y" * 30, "na\u0131"]
TAILS = [" the sun", " 42", "789", "  two blanks", "\nline", "z", "\u0301ve", ' all" he', " 你好", "</s> x"]


@pytest.mark.parametrize("name", KINDS)
def test_tokens_are_those_of_the_whole_text_after_any_others(name: str) -> None:
    made, expected = KINDS[name]
    tokenizer = plain(made)
    assert splits_at_blanks(tokenizer) == expected

    def encode(texts: list[str]) -> list[list[int]]:
        return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]

    triples = [(stem, item, tail) for stem in STEMS for item in ITEMS for tail in TAILS]
    for seed in range(2):
        random.Random(seed).shuffle(triples)
        encoder = Encoder(encode, expected)  # type: ignore[arg-type]
        for stem, item, tail in triples[:200]:  # one after the other
            ((ids, begin),) = encoder.join([(stem, item, tail)])
            (whole, head) = encode([stem + item + tail, stem + item])
            assert ids == whole
            assert begin == (len(whole) if whole == head else min(len(head), len(whole) - 1))
        again = list(encoder.join(triples))
        assert [ids for ids, _ in again] == encode(["".join(triple) for triple in triples])


def test_what_is_tried_shows_what_is_cut() -> None:
    text = made_up(500)
    assert text == made_up(500)
    assert len(CUTS.split(text)) > 100
    tokenizer = KINDS["lower case"][0]
    assert "A" in text
    assert "A" not in "".join(split(tokenizer, text))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CheckpointModel:
    return CheckpointModel(checkpoint(tmp_path_factory.mktemp("encode") / "model", TEXTS))


def test_a_score_does_not_depend_on_what_was_asked_before(model: CheckpointModel) -> None:
    """Digits go by threes from where they begin, which four characters do not show."""
    model.tokenizer = plain(trained("bpe", TEXTS, splits(CL100K)))
    first = Ask(("the sun is 123456",), ("789",))
    second = Ask(("the sun is 23456",), ("789",))
    alone = Scorer(model).score([second])[0]
    for asked in ([first, second], [second, first]):
        together = dict(zip(asked, Scorer(model).score(asked), strict=True))
        assert together[second].tokens == alone.tokens
        assert together[second].log_p == pytest.approx(alone.log_p, abs=1e-4)
    scorer = Scorer(model)
    scorer.score([first])
    assert scorer.score([second])[0].log_p == pytest.approx(alone.log_p, abs=1e-4)


def test_a_continuation_inside_the_only_token_gets_its_own_reason(model: CheckpointModel) -> None:
    """It was told that the tokenizer makes no token of the context."""
    model.tokenizer = plain(KINDS["words at blanks"][0])
    with pytest.raises(EvalError, match=r"continuation 'n' begins inside the only token .* of 'sun'"):
        Scorer(model).score([Ask(("su",), ("n",))])
    model.start = (2,)  # something stands before it
    try:
        answer = Scorer(model).score([Ask(("su",), ("n",))])[0]
        assert answer.tokens == (1,)
    finally:
        del model.start


@pytest.mark.parametrize("name", ["byte-level", "words at blanks", "metaspace, whole", "bert"])
def test_a_spelled_special_token_is_text(name: str, model: CheckpointModel) -> None:
    made: Tokenizer = KINDS[name][0]
    special = {made.token_to_id(token) for token in (END, "<s>", "</s>")}
    tokenizer = plain(made)
    assert end_of(tokenizer) == end_of(made) == made.token_to_id(END)
    model.tokenizer = tokenizer
    for text in (f"the {END} sun", END, f"{END} {END}", "a <s> b </s>", f"the {END}sun"):
        assert not special & set(model.encode([text])[0])
        assert model.encode([text])[0]
