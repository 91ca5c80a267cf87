"""The speeds that the documentation shows: their arithmetic, and their picture."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.bench import read_rows
from models.errors import ModelError
from models.ladder import LADDER, WINDOW

ROWS = Path(__file__).parents[2] / "docs/data/speed-h100.jsonl"


def test_a_row_counts_the_windows_it_took() -> None:
    """Tokens a second are whole micro-batches' over the step's time, MFU is the page's formula of them."""
    rows = [json.loads(line) for line in ROWS.read_text("utf-8").splitlines()]
    assert {(row["rung"], row["way"]) for row in rows} == {
        (rung, way) for rung in ("150M", "400M", "530M", "750M", "1B") for way in ("plain", "fused", "packed")
    }
    for row in rows:
        assert row["batch"] % row["micro"] == 0
        assert row["tokens_per_second"] == pytest.approx(
            row["batch"] * WINDOW / row["step_ms"] * 1e3, rel=1e-4
        )
        rung = LADDER[row["rung"]]
        flops = 6 * rung.counted() + 6 * rung.layers * WINDOW * rung.width
        assert row["mfu"] == pytest.approx(row["tokens_per_second"] * flops / 989e12, abs=2e-4)


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "speed.png"
    command = [sys.executable, "-m", "models.bench", "plot", "--rows", str(ROWS), "--output", str(picture)]
    subprocess.run(command, check=True, timeout=120)
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no measured row"),
        (b'{"rung": "150M", "way": "plain", "error": "out of memory"}', "no measured row"),
        (b'{"rung": "151M", "way": "plain", "mfu": 0.5, "tokens_per_second": 1}', "'151M' is not in list"),
        (b'{"rung": "150M", "way": "plain", "mfu": null, "tokens_per_second": 1}', "TypeError"),
        (b"no row", "not what bench rungs prints"),
        (b"\xff\xfe{", "UnicodeDecodeError"),
        (None, "No such file"),
    ],
)
def test_other_files_are_no_picture(content: bytes | None, message: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    if content is not None:
        rows.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_rows(rows)


def test_a_picture_takes_no_folders_or_devices_place(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models.bench", "plot", "--rows", str(ROWS), "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "exists and is no file" in done.stderr
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}.partial"))
