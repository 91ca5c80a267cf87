"""Agreement with DCLM's own filters, one by one, on the same texts (see `werp.signals.agree`).

DCLM's modules are imported from the clone that is named, and nothing in it is changed. Its packages' own
`__init__` files, which import trainers and language models, are passed over, and so is `transformers`, which
one filter needs that its recipe does not use.
"""

from __future__ import annotations

from typing import Any

_QUALITY = ("min_words", "max_words", "min_mean_word_length", "max_mean_word_length", "max_symbol_ratio",
    "max_bullet_line_ratio", "max_ellipsis_line_ratio", "min_alpha_word_ratio", "min_stop_words")  # fmt: skip

#: Each filter of `dclm_baseline_refinedweb.yaml` that looks at text, and the keys of ours that decide it.
_FILTERS: dict[str, tuple[str, ...]] = {
    "page_length": ("min_words", "max_words"),
    "word_length": ("min_mean_word_length", "max_mean_word_length"),
    "symbol_ratio": ("max_symbol_ratio",),
    "bullet_count": ("max_bullet_line_ratio",),
    "ellipsis_count": ("max_ellipsis_line_ratio",),
    "alphabetic_word_ratio": ("min_alpha_word_ratio",),
    "stop_word": ("min_stop_words",),
}

#: The peer's half. It reads {"text"} lines, writes one {filter: [kept, reason, text]} line each.
PEER = """
import json, sys, types
def package(name, folder):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [sys.argv[1] + "/baselines" + folder]
package("baselines", "")
package("core", "/core")
for name in ("core", "mappers", "mappers.filters", "mappers.enrichers"):
    package("baselines." + name, "/" + name.replace(".", "/"))
sys.modules["transformers"] = types.SimpleNamespace(AutoTokenizer=None)
from baselines.mappers import modifiers as m
from baselines.mappers.filters import content_filters as f
from baselines.mappers.enrichers.enrichers import word_counter_enricher
filters = {
    "page_length": lambda p: f.page_length_filter(p, "word", 50, 100000, ignore_punctuation=True),
    "word_length": lambda p: f.word_length_filter(p, 3, 10),
    "symbol_ratio": lambda p: f.symbol_ratio_filter(p, 0.1),
    "bullet_count": lambda p: f.bullet_count_filter(p, 0.9),
    "ellipsis_count": lambda p: f.ellipsis_count_filter(p, 0.3),
    "alphabetic_word_ratio": lambda p: f.alphabetic_word_ratio_filter(p, 0.2),
    "stop_word": lambda p: f.stop_word_filter(p, False, 2),
    "massive_web_repetition": lambda p: f.massive_web_repetition_filters(p),
}
def phrase(text, where):
    return m.substring_line_modifier(text, location=where, max_length=10, remove_substring_only=True)
counters, cart = m.counter_line_modifier(), phrase("items in cart", "any")
more, sign = phrase("Read more...", "suffix"), phrase("Sign-in", "prefix")
lines = (
    lambda p: m.uppercase_ratio_line_modifier(p, 0.5), lambda p: m.numeric_ratio_line_modifier(p, 0.999999),
    counters, lambda p: m.line_length_modifier(p, 2), cart, more, sign)
for row in sys.stdin:
    text = json.loads(row)["text"]
    out = {name: [bool(own({"text": text})), None, None] for name, own in filters.items()}
    pages = word_counter_enricher({"text": text}, "before")
    for step in lines:
        pages = step(pages[0]) if pages else []
    edited = pages[0]["text"] if pages else ""
    kept = bool(pages and f.word_removal_ratio_filter(pages[0], "before", max_removed_ratio=0.05))
    out["refinedweb_lines"] = [kept, None, edited]
    print(json.dumps(out), flush=True)
"""


def rules_of() -> dict[str, list[dict[str, Any]]]:
    """Each filter's name, and the rule of ours with its keys alone."""
    quality = {"rule": "gopher_quality.v1", "counting": "dclm"}
    rules: dict[str, list[dict[str, Any]]] = {
        name: [quality | {key: None for key in _QUALITY if key not in keys}]
        for name, keys in _FILTERS.items()
    }
    rules["massive_web_repetition"] = [{"rule": "gopher_repetition.v1", "counting": "dclm"}]
    rules["refinedweb_lines"] = [{"rule": "refinedweb_lines.v1"}]
    return rules
