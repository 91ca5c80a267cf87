"""Rule `boilerplate_lines.v1`: whole lines of furniture go, each under its class; prose and code stay."""

from __future__ import annotations

import json
import lzma
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from werp.edits import apply_edits
from werp.signals.batch import TextBatch
from werp.signals.boilerplate_lines import CLASSES, BoilerplateLines, class_of
from werp.signals.chain import edit, measure

FURNITURE = {
    "cookie_banner": [
        "We use cookies to improve your experience on our site.",
        "Accept all cookies",
        "Cookie settings",
    ],
    "social_counter": ["1,344 Reviews", "- 941 comments", "12 likes | 3 shares"],
    "share_buttons": ["Share this article on Facebook", "Facebook | Twitter | WhatsApp", "Tweet"],
    "breadcrumb": ["Home » News » Sport", "Home > Shop > Shoes", "You are here: Home / Blog"],
    "script_leftover": [
        "You need to enable JavaScript to run this app.",
        "window.dataLayer = window.dataLayer || [];",
        "<!-- /.sidebar -->",
        "@media (max-width: 600px) {",
    ],
    "form_label": ["First name *", "Forgot your password?", "Your email address will not be published."],
    "newsletter": [
        "Subscribe to our newsletter",
        "Sign up for our mailing list today",
        "Get the latest news delivered to your inbox!",
    ],
    "navigation": ["Skip to content", "« Previous", "Page 3 of 12", "Back to top", "Load more"],
    "read_more": ["Read more…", "Continue reading", "Related posts:", "You may also like"],
    "legal_footer": [
        "© 2026 Master Lock Company LLC.",
        "All rights reserved.",
        "Privacy Policy | Terms of Use | Contact",
    ],
    "post_meta": [
        "Posted on March 19, 2024 by admin",
        "Filed under: Recipes, Soup",
        "Leave a Reply",
        "5 min read",
    ],
}
PROSE = [
    "Cookies are baked at 180 °C for twelve minutes.",
    "We use cookies in this recipe instead of sponge, and the layers hold together better than before.",
    "He likes 12 shares of the company more than cash.",
    "Share the dough among four people.",
    "Home is where the heart is.",
    "JavaScript is a language of the web.",
    "const response = await fetch(url);",
    "    Email:",
    "Her first name was Ann.",
    "Subscribe buttons are discussed in chapter three.",
    "Next, fold the paper along the line.",
    "Read more books than you did last year.",
    "The copyright of 1911 was repealed.",
    "The plan was updated on Monday in 2024 after long talks with everyone involved in the village.",
    "",
    "a" * 5000,
]


def test_every_class_takes_its_lines_and_no_prose() -> None:
    assert set(FURNITURE) == set(CLASSES)
    for name, lines in FURNITURE.items():
        assert {line: class_of(line) for line in lines} == dict.fromkeys(lines, name)
    assert {line: class_of(line) for line in PROSE if class_of(line)} == {}


def test_edits_are_whole_lines_counted_by_class_and_recoverable() -> None:
    lines = [line for pair in zip([v[0] for v in FURNITURE.values()], PROSE, strict=False) for line in pair]
    text = "\n".join(lines)
    rule = BoilerplateLines()
    batch = TextBatch(["0", "1"], ["", ""], [text, ""])
    (spans, none) = edit([rule], batch)
    assert none == []
    assert apply_edits(text, spans) == "\n".join(PROSE[: len(FURNITURE)])
    assert "".join(text[s.start : s.end] for s in spans) == "".join(v[0] + "\n" for v in FURNITURE.values())
    columns = measure([rule], batch)
    assert all(columns[f"boilerplate_lines.{name}"].to_pylist() == [1, 0] for name in CLASSES)
    removed = sum(s.end - s.start for s in spans)
    assert columns["boilerplate_lines.removed_char_ratio"].to_pylist() == [removed / len(text), None]
    some = BoilerplateLines(classes=("navigation",))
    assert {span.rule for span in edit([some], batch)[0]} == {"boilerplate_lines.v1.navigation"}
    with pytest.raises(ValidationError, match="did you mean navigation"):
        BoilerplateLines(classes=("navigaton",))


@pytest.mark.parametrize(
    "line", ["home :: / > " * 24, "home » " + "a » " * 70, "we use cookies " + "site " * 55 + "!x"]
)
def test_no_line_takes_long(line: str) -> None:
    started = time.perf_counter()
    for _ in range(100):
        class_of(line)
    assert time.perf_counter() - started < 2


def test_it_spares_what_people_marked_as_content(werp_data: Path) -> None:
    """Of the gold text of real pages it takes less than one line in four hundred."""
    lines = taken = 0
    with lzma.open(werp_data / "extraction" / "scrapinghub.jsonl.xz", "rt") as rows:
        for row in rows:
            for line in (json.loads(row)["gold_text"] or "").split("\n"):
                lines += 1
                taken += class_of(line) is not None
    assert lines > 1000
    assert taken / lines < 1 / 400
