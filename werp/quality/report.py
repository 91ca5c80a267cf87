"""The training's report: one self-contained page; whatever came from a page is escaped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from werp.quality.rows import Row
from werp.visible import one_line

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:left;"
    "vertical-align:top}pre{white-space:pre-wrap}svg{max-width:100%}"
)


def training_report(
    card: dict[str, Any],
    thresholds: dict[str, Any],
    best: Sequence[tuple[float, Row]],
    worst: Sequence[tuple[float, Row]],
) -> str:
    """HTML with the proof, calibration as a picture, the threshold table, and the best and worst pages."""
    held = card["held_out"]
    facts = [
        ("model", f"{card['model']['file']}, {card['model']['bytes']:,} bytes"),
        ("held-out accuracy", held["accuracy"]),
        ("held-out ROC-AUC", f"{held['roc_auc']} (95 %: {held['roc_auc_95']})"),
        ("the same on words alone", held["roc_auc_words_alone"]),
        ("calibration error", held["calibration"]["expected_calibration_error"]),
        *((f"BETR {key}", json.dumps(value)) for key, value in card.get("betr", {}).items()),
    ]
    contrasts = [
        (c["better"], c["worse"], c["roc_auc"], c["roc_auc_words_alone"], c["spearman_with_length"])
        for c in card["evaluate"]["contrasts"]
    ]
    kept = [(f"{row['threshold']:.6f}", row["documents"], row["tokens"]) for row in thresholds["negatives"]]
    return "".join(
        [
            f"<!doctype html><meta charset=utf-8><title>{escape(card['name'])}</title>",
            f"<style>{_STYLE}</style>",
            f"<h1>Classifier {escape(card['name'])}</h1><p>{escape(card['description'])}</p>",
            _table(("", ""), facts),
            "<h2>Calibration</h2>", _calibration(held["calibration"]["bins"]),
            "<h2>Contrasts</h2>",
            _table(("better", "worse", "ROC-AUC", "on words alone", "score with length"), contrasts),
            "<h2>Thresholds</h2><p>What a score keeps of the held-out negatives, share of documents and of"
            f" tokens ({escape(thresholds['tokens'])}).</p>", _table(("score", "documents", "tokens"), kept),
            f"<h2>{len(best)} best held-out pages</h2>", _pages(best),
            f"<h2>{len(worst)} worst held-out pages</h2>", _pages(worst),
        ]
    )  # fmt: skip


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = "".join(f"<tr>{''.join(f'<td>{escape(str(v))}</td>' for v in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{escape(h)}</th>' for h in heads)}</tr>{cells}</table>"


def _pages(scored: Sequence[tuple[float, Row]]) -> str:
    rows = [
        (f"{score:.4f}", one_line(row.url or row.name, 300), one_line(row.text, 400)) for score, row in scored
    ]
    return _table(("score", "page", "beginning"), rows)


def _calibration(bins: Sequence[dict[str, Any]]) -> str:
    points = "".join(
        f"<circle cx={20 + 260 * b['mean_score']:.0f} cy={280 - 260 * b['positive']:.0f}"
        f" r=5><title>{b['rows']} rows</title></circle>"
        for b in bins
    )
    return (
        "<svg width=300 height=310 role=img aria-label='mean score and share of positives of ten bins'>"
        "<rect x=20 y=20 width=260 height=260 fill=none stroke=#999 />"
        "<line x1=20 y1=280 x2=280 y2=20 stroke=#bbb stroke-dasharray=4 />"
        f"{points}<text x=100 y=302 font-size=12>mean score of a bin</text></svg>"
    )
