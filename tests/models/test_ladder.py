"""The ladder against DataDecide's published table and DCLM's published counts."""

from __future__ import annotations

import pytest

from models.ladder import LADDER, plan, table

#: name: batch, width, peak rate, N in millions, heads, layers, steps (arXiv 2504.11393, table of sizes).
PUBLISHED = {
    "4M": (32, 64, 1.4e-2, 3.7, 8, 8, 5725),
    "6M": (32, 96, 1.2e-2, 6.0, 8, 8, 9182),
    "8M": (32, 128, 1.1e-2, 8.5, 8, 8, 13039),
    "10M": (32, 144, 1.0e-2, 9.9, 8, 8, 15117),
    "14M": (32, 192, 9.2e-3, 14.4, 8, 8, 21953),
    "16M": (32, 208, 8.9e-3, 16.0, 8, 8, 24432),
    "20M": (64, 192, 8.4e-3, 19.1, 8, 16, 14584),
    "60M": (96, 384, 5.8e-3, 57.1, 12, 16, 29042),
    "90M": (160, 528, 4.9e-3, 97.9, 12, 16, 29901),
    "150M": (192, 768, 4.2e-3, 151.9, 12, 12, 38157),
    "300M": (320, 1024, 3.3e-3, 320.0, 16, 16, 45787),
    "530M": (448, 1344, 2.8e-3, 530.1, 16, 16, 57786),
    "750M": (576, 1536, 2.5e-3, 681.3, 16, 16, 63589),
    "1B": (704, 2048, 2.1e-3, 1176.8, 16, 16, 69369),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_row_is_derived(name: str) -> None:
    batch, width, rate, millions, heads, layers, steps = PUBLISHED[name]
    rung, run = LADDER[name], plan(LADDER[name], 100)
    assert (rung.width, rung.heads, rung.layers, run.batch) == (width, heads, layers, batch)
    assert rung.counted() / 1e6 == pytest.approx(millions, abs=0.051)
    assert float(f"{run.learning_rate:.1e}") == rate  # published to two digits
    # The published runs are 10 steps longer than their budget (20 at 530M).
    assert 0 <= steps - run.steps <= 20


def test_the_counts_known_to_the_unit() -> None:
    assert LADDER["150M"].counted() == 151_898_880
    assert LADDER["530M"].counted() == 530_074_944
    assert LADDER["1B"].counted() == 1_176_832_000


def test_the_two_rungs_of_400m() -> None:
    ours, dclm = LADDER["400M"], LADDER["400M-dclm"]
    assert ours.counted() == 397_726_848
    assert (plan(ours).batch, plan(ours).steps) == (384, 50_863)
    # DCLM publishes 411.6 M in all and 359.97 M without the embedding, over 50,432 entries; without norms on
    # q and k.
    norms = 2 * dclm.layers * dclm.head_width
    assert dclm.total(50_432) - norms == 411_616_256
    assert dclm.counted(50_432) - norms == 359_973_888


def test_flops_count_causal_attention_at_half() -> None:
    rung = LADDER["150M"]
    assert rung.flops_per_token(2048) == 6 * 151_898_880 + 6 * 12 * 2048 * 768


def test_the_table_names_every_rung() -> None:
    assert all(f"| {name} |" in table() for name in LADDER)
