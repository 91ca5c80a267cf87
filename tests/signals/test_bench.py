from __future__ import annotations

import json
from pathlib import Path

import pytest

from werp.signals.base import Rule
from werp.signals.bench import keeps, main, measure
from werp.signals.gopher_quality import GopherQuality


def test_bench_reports_each_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": f"word {n} of the text\n" * 5}) + "\n" for n in range(20)))
    main([str(file), "--rounds", "1"])
    printed = capsys.readouterr().out
    assert "20 documents" in printed
    assert "plain Python" in printed
    assert "numba" in printed


def test_verdicts() -> None:
    rules: list[Rule] = [GopherQuality()]
    good = "The cat and the dog have to be of one mind with that house. " * 5
    assert keeps(rules, measure([good, "too short", ""], rules)) == [True, False, False]
