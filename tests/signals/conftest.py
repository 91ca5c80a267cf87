"""Real texts for the signal tests."""

from __future__ import annotations

import json
import lzma
from itertools import islice
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_texts(werp_data: Path) -> list[str]:
    """300 pages of C4 and 100 of each of three collections of article text."""
    texts = []
    files = [
        ("corpora/c4-sample.jsonl.xz", "text", 300),
        ("extraction/wcxb.jsonl.xz", "gold_text", 100),
        ("extraction/fundus.jsonl.xz", "gold_text", 100),
        ("corpora/udhr2.jsonl.xz", "text", 100),
    ]
    for name, key, count in files:
        with lzma.open(werp_data / name, "rt", encoding="utf-8") as lines:
            texts += [text for line in islice(lines, count) if (text := json.loads(line)[key])]
    assert len(texts) > 500
    return texts
