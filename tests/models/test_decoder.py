"""The decoder and the ladder: counts, who sees whom, and positions."""

from __future__ import annotations

import pytest
import torch

from models.checkpoint import count_parameters
from models.decoder import Decoder, rotate, rotations
from models.ladder import LADDER, Rung, plan

TINY = Rung("tiny", width=16, heads=2, layers=2)
VOCABULARY = 40


@pytest.fixture
def model() -> Decoder:
    torch.manual_seed(0)
    model = Decoder(TINY, VOCABULARY).eval()
    for parameter in model.parameters():  # larger than at the start, so that a leak would show
        torch.nn.init.normal_(parameter, std=0.3)
    return model


GROUPED = Rung("grouped", width=32, heads=4, layers=2, hidden=72, kv_heads=2, qk_norm=True)


@pytest.mark.parametrize("rung", [TINY, GROUPED, *LADDER.values()], ids=lambda rung: rung.name)
def test_the_closed_form_counts_every_parameter(rung: Rung) -> None:
    with torch.device("meta"):
        model = Decoder(rung, 128)
    assert count_parameters(model) == rung.total(128)
    assert rung.counted(128) == count_parameters(model) - model.embedding.weight.numel()
    assert rung.blocks == rung.counted(128) - model.head.weight.numel()


def test_a_plan_follows_what_the_configuration_says() -> None:
    assert plan(LADDER["150M"], 20).steps * 5 == pytest.approx(plan(LADDER["150M"], 100).steps, rel=1e-3)
    dclm = plan(LADDER["400M-dclm"], 20)
    assert (dclm.batch, dclm.learning_rate, dclm.weight_decay, dclm.warmup_steps) == (512, 3e-3, 0.033, 2000)
    assert dclm.tokens == pytest.approx(8.23e9, rel=1e-3)


def test_masks_hold_for_grouped_queries() -> None:
    torch.manual_seed(0)
    model = Decoder(GROUPED, VOCABULARY).eval()
    tokens = torch.randint(VOCABULARY, (1, 12))
    documents = torch.tensor([[0] * 5 + [1] * 7])
    torch.testing.assert_close(model(tokens, documents)[:, 5:], model(tokens[:, 5:]), rtol=1e-4, atol=1e-5)


def test_a_later_token_changes_no_earlier_logit(model: Decoder) -> None:
    tokens = torch.randint(VOCABULARY, (2, 12))
    changed = tokens.clone()
    changed[:, 7] = (changed[:, 7] + 1) % VOCABULARY
    for documents in (None, torch.zeros_like(tokens)):
        before, after = model(tokens, documents), model(changed, documents)
        torch.testing.assert_close(before[:, :7], after[:, :7], rtol=0, atol=0)
        assert ((before[:, 7:] - after[:, 7:]).abs().amax(-1) > 1e-4).all()


def test_a_token_of_another_document_changes_no_logit(model: Decoder) -> None:
    tokens = torch.randint(VOCABULARY, (1, 12))
    documents = torch.tensor([[3] * 5 + [4] * 7])
    changed = tokens.clone()
    changed[0, 2] = (changed[0, 2] + 1) % VOCABULARY
    before, after = model(tokens, documents), model(changed, documents)
    torch.testing.assert_close(before[:, 5:], after[:, 5:], rtol=0, atol=0)
    assert ((before[:, 2:5] - after[:, 2:5]).abs().amax(-1) > 1e-4).all()
    assert ((model(tokens)[:, 5:] - model(changed)[:, 5:]).abs().amax(-1) > 1e-4).all()  # seen without a mask


def test_a_packed_document_scores_as_it_does_alone(model: Decoder) -> None:
    tokens = torch.randint(VOCABULARY, (1, 12))
    documents = torch.tensor([[0] * 5 + [1] * 7])
    torch.testing.assert_close(model(tokens, documents)[:, 5:], model(tokens[:, 5:]), rtol=1e-4, atol=1e-4)


def test_rope_keeps_length_and_depends_on_distance_alone() -> None:
    torch.manual_seed(0)
    cos, sin = rotations(20, 8, torch.device("cpu"))
    q, k = torch.randn(8), torch.randn(8)
    turned_q, turned_k = rotate(q.expand(20, 8), cos, sin), rotate(k.expand(20, 8), cos, sin)
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm().expand(20))
    products = turned_q @ turned_k.T
    for distance in (1, 4):
        diagonal = products.diagonal(-distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-4, atol=1e-4)
    assert abs(products[1, 0] - products[4, 0]) > 1e-3


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="15 / 2 heads"):
        Decoder(Rung("odd", width=15, heads=2, layers=1), 10)


def test_key_heads_that_do_not_divide_the_heads_are_refused() -> None:
    with pytest.raises(ValueError, match="3 key heads"):
        Decoder(Rung("odd", width=16, heads=4, layers=1, kv_heads=3), 10)
