"""Agreement with datatrove or with DCLM's own filters, rule by rule, on the same texts.

    make peers
    python -m werp.signals.agree RUN_DIRECTORY --peer .peers/datatrove/bin/python --model lid.176.ftz \\
        --lists WORDS SOFT SUBSTRINGS
    git clone https://github.com/mlfoundations/dclm
    python -m werp.signals.agree RUN_DIRECTORY --peer .peers/dclm/bin/python --dclm dclm

Every document of a finished run is given, as extracted, to each of our rules and to the peer's filter of the
same name with the same thresholds; FineWeb's custom rules get the text that the C4 rules left, each side
its own. Compared are the decisions and, for the rules that edit, the texts. Prints a JSON object;
`--differences FILE` writes one line for each difference.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from werp.decide import decide
from werp.edits import apply_edits
from werp.local import refuse_remote
from werp.recipe import Recipe
from werp.signals import agree_dclm
from werp.signals.base import EditRule, Rule
from werp.signals.batch import TextBatch
from werp.signals.chain import edit, measure

#: Each rule as FineWeb sets it, alone; the last two stand after the C4 edits.
_RULES: dict[str, list[dict[str, Any]]] = {
    "language": [{"rule": "language.v1"}],
    "gopher_repetition": [{"rule": "gopher_repetition.v1"}],
    "gopher_quality": [{"rule": "gopher_quality.v1"}],
    "c4": [{"rule": "c4.v1", "terminal_punctuation": False}],
    "c4_terminal": [{"rule": "c4.v1"}],
    "fineweb_quality": [{"rule": "c4.v1", "terminal_punctuation": False}, {"rule": "fineweb_quality.v1"}],
    "pii": [{"rule": "pii.v1", "matching": "datatrove"}],
}
_EDITS = frozenset({"c4", "c4_terminal", "pii", "refinedweb_lines"})  # rules whose texts are compared

#: The peer's half. It reads {"text"} lines, writes one {rule: [kept, reason, text]} line each.
_PEER = """
import json, sys
from datatrove.data import Document
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
    GopherRepetitionFilter, URLFilter)
from datatrove.pipeline.formatters import PIIFormatter
from fasttext.FastText import _FastText
lists = dict(zip(("banned_words", "soft_banned_words", "banned_subwords"), sys.argv[2:5]))
lists = {key: open(path).read().splitlines() for key, path in lists.items()}
url = URLFilter(use_integrated_lists=False, **lists)
url.tldextractor = lambda u: type("Parts", (), {"registered_domain": "", "fqdn": ""})
model = _FastText(sys.argv[1])
filters = {"gopher_repetition": GopherRepetitionFilter(), "gopher_quality": GopherQualityFilter(),
    "c4": C4QualityFilter(filter_no_terminal_punct=False), "c4_terminal": C4QualityFilter()}
custom = FineWebQualityFilter()
def verdict(found, text):
    kept, reason = found if isinstance(found, tuple) else (found, None)
    return [bool(kept), reason, text]
for line in sys.stdin:
    row = json.loads(line)
    out = {}
    line = row["text"].replace("\\n", " ") + "\\n"
    scores = dict((label, score) for score, label in model.f.predict(line, -1, 0.0, "strict"))
    out["language"] = [scores.get("__label__en", 0) > 0.65, None, None]
    for name, filter_ in filters.items():
        document = Document(text=row["text"], id="")
        out[name] = verdict(filter_.filter(document), document.text)
    if out["c4"][0]:
        out["fineweb_quality"] = verdict(custom.filter(Document(text=out["c4"][2], id="")), None)
    out["pii"] = [True, None, PIIFormatter().format(row["text"])]
    out["url"] = verdict(url.filter(Document(text="", id="", metadata={"url": row["url"]})), None)
    print(json.dumps(out), flush=True)
"""


def documents(run: Path) -> Iterator[tuple[str, str]]:
    """(url, text as extracted) of every document of a run."""
    for name in json.loads((run / "run.json").read_text("utf-8"))["files"]["documents"]:
        table = pq.read_table(run / "documents" / name, columns=["url", "text"])
        yield from zip(table.column("url").to_pylist(), table.column("text").to_pylist(), strict=True)


def ours(
    content: list[dict[str, Any]], urls: list[str], texts: list[str]
) -> list[tuple[bool, str | None, str]]:
    """(kept, rule that drops, edited text) of each document under these rules, of which the last decides."""
    rules: tuple[Rule, ...] = Recipe.model_validate({"name": "agree", "rules": content}).rules
    out: list[tuple[bool, str | None, str]] = []
    for first in range(0, len(texts), 256):
        part = texts[first : first + 256]
        batch = TextBatch([""] * len(part), urls[first : first + 256], part)
        verdicts = decide(pa.table(measure(rules, batch)), [rules[-1]]).column("rule").to_pylist()
        edits = edit(rules, batch) if isinstance(rules[-1], EditRule) else [[] for _ in part]
        out += [
            (why is None, why, apply_edits(text, spans))
            for why, text, spans in zip(verdicts, part, edits, strict=True)
        ]
    return out


def ask_peer(command: list[str], urls: list[str], texts: list[str]) -> list[dict[str, Any]]:
    """The peer's verdicts, one {rule: [kept, reason, text]} a document."""
    rows = "".join(json.dumps({"url": u, "text": t}) + "\n" for u, t in zip(urls, texts, strict=True))
    done = subprocess.run(command, input=rows, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the peer failed:\n{done.stderr[-2000:]}")
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(theirs) == len(texts)
    return theirs


def compare(
    rules: dict[str, list[dict[str, Any]]], theirs: list[dict[str, Any]], urls: list[str], texts: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """Figures of each rule, and a JSON line for each difference."""
    report: dict[str, Any] = {"documents": len(texts)}
    different: list[str] = []
    for name, content in rules.items():
        equal = compared = same_text = edited = 0
        for i, (kept, why, text) in enumerate(ours(content, urls, texts)):
            if name not in theirs[i]:  # dropped by the rule before it
                continue
            their_kept, reason, their_text = theirs[i][name]
            compared += 1
            equal += kept == their_kept
            alike = True
            if kept and their_kept and name in _EDITS:
                edited += 1
                alike = text == their_text
                same_text += alike
            if kept != their_kept or not alike:
                found = {
                    "rule": name,
                    "url": urls[i],
                    "ours": why,
                    "theirs": reason,
                    "kept": kept,
                    "same_text": alike,
                }
                different.append(json.dumps(found))
        report[name] = {"compared": compared, "equal": equal, "percent": round(100 * equal / compared, 3)}
        if edited:
            report[name] |= {"texts": edited, "same_text": same_text}
    return report, different


def main(arguments: list[str] | None = None) -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="a finished run directory")
    parser.add_argument("--peer", required=True, help="python of the environment that `make peers` made")
    parser.add_argument("--dclm", type=Path, help="a clone of mlfoundations/dclm: compare with its filters")
    parser.add_argument("--model", help="lid.176.ftz, for datatrove")
    parser.add_argument("--lists", nargs=3, help="list files, for datatrove: words, soft words, substrings")
    parser.add_argument("--differences", type=Path, help="write one JSON line for each difference")
    options = parser.parse_args(arguments)
    if options.differences:
        refuse_remote("--differences", options.differences)

    urls, texts = map(list, zip(*documents(options.run), strict=True))
    if options.dclm:
        if not (options.dclm / "baselines" / "mappers" / "filters").is_dir():
            parser.error(
                f"--dclm: no baselines/mappers/filters in {options.dclm}; name a clone of mlfoundations/dclm"
            )
        rules = agree_dclm.rules_of()
        command = [options.peer, "-c", agree_dclm.PEER, str(options.dclm.resolve())]
    else:
        if not (options.model and options.lists):
            parser.error("--model and --lists are needed for datatrove, or --dclm")
        fields = ("blocked_words", "soft_words", "blocked_substrings")
        rules = {**_RULES, "url": [{"rule": "url.v1", **dict(zip(fields, options.lists, strict=True))}]}
        command = [options.peer, "-c", _PEER, options.model, *options.lists]
    report, different = compare(rules, ask_peer(command, urls, texts), urls, texts)
    if options.differences:
        options.differences.write_text("".join(line + "\n" for line in different), "utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
