"""The tests' comparisons at the size of a claim: `python -m tests.dedup.proofs old_both|substring|earlier`.

Needs $WERP_DATA; prints JSON. Each takes one to three minutes of one core.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.dedup.conftest import two_crawls
from tests.dedup.test_old_both import chained, left_of, loop
from tests.dedup.test_runs import finished, texts_of
from tests.job import manifest, table
from werp.dedup.bench import dedup, laid_out, session
from werp.dedup.planted import near_copy, passages, read_found
from werp.dedup.stages import OldBoth, Substring
from werp.recipe import Recipe
from werp.signals.batch import TextBatch
from werp.signals.length import Length
from werp.stages.signals import write_signals


def tables(folder: Path, texts: list[str], per_file: int) -> Any:
    sources = laid_out(folder, texts, per_file)
    for source in sources:
        source.signals.parent.mkdir(parents=True, exist_ok=True)
        write_signals(source.documents, source.signals, [Length()], None, folder / "tmp")
    return sources


def old_both(folder: Path, data: Path) -> dict[str, Any]:
    """The parallel form against the loop on 20,000 documents with chains of copies; and the Bloom mode."""
    texts = chained(data, 20_000)
    expected, sources = loop(texts), tables(folder, texts, 1250)
    spark = session()
    out: dict[str, Any] = {"documents": len(texts), "dropped": sum(text is None for text in expected)}
    for slices in (1, 2, 16):
        figures, targets = dedup(spark, folder / str(slices), sources, [OldBoth()], slices)
        equal = left_of(sources, read_found(targets)) == expected
        out[f"equal_at_{slices}"], out["rounds"] = equal, figures["stages"][0]["rounds"]
    spark.stop()
    for shards in (1, 10):
        stage = OldBoth(mode="bloom", bloom_shards=shards, bloom_mb=1)
        figures, targets = dedup(None, folder / f"bloom-{shards}", sources, [stage], 1)
        left = left_of(sources, read_found(targets))
        rate = figures["stages"][0]["false_positive_rate"]
        differ = sum(a != b for a, b in zip(expected, left, strict=True))
        out[f"bloom_{shards}_shards"] = {"false_positive_rate": rate, "documents_that_differ": differ}
    return out


def substring(folder: Path, data: Path) -> dict[str, Any]:
    """100,000 documents with 3,000 planted passages of exactly 50 words: what is cut against brute force."""
    n, chance = 50, random.Random(6)
    texts = passages(data, 100_000, 350, 550)
    for _ in range(3000):
        source, target = chance.sample(range(len(texts)), 2)
        words = TextBatch([""], [""], [texts[source]]).words(0)
        run = words[(start := chance.randrange(max(1, len(words) - n))) : start + n]
        texts[target] += " " + " ".join(run)
    sources = tables(folder, texts, 12_500)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures, targets = dedup(None, folder, sources, [Substring(min_tokens=n)], 1)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen, gone_words, windows = set[int](), list[int](), 0
    for first in range(0, len(texts), 500):
        part = texts[first : first + 500]
        batch = TextBatch(part, part, part)
        for k in range(len(batch)):
            words, gone = batch.words(k), set[int]()
            for at in range(len(words) - n + 1):
                key = hash(" ".join(words[at : at + n]))
                windows += 1
                if key in seen:
                    gone.update(range(at, at + n))
                seen.add(key)
            gone_words.append(len(gone))
    rows = {str(row["id"]): row for row in read_found(targets)}
    found = []
    for source in sources:
        for document in pq.read_table(source.documents, columns=["id", "text"]).to_pylist():
            share: Any = rows.get(document["id"], {"similarity": 0.0})["similarity"]
            found.append(round(share * len(TextBatch([""], [""], [document["text"]]).words(0))))
    return {
        "documents": len(texts), "windows": windows,
        "windows_exchanged": figures["stages"][0]["windows_exchanged"],
        "documents_cut": sum(map(bool, gone_words)), "words_cut": sum(gone_words),
        "equal": found == gone_words,
        "peak_mb_before_and_after": [round(before / 1024), round(after / 1024)],
    }  # fmt: skip


def earlier(folder: Path, data: Path) -> dict[str, Any]:
    """Exact and MinHash on 50,000 documents: adding a crawl, and taking it away."""
    chance = random.Random(8)
    texts = passages(data, 40_000, 400, 700)
    texts += [near_copy(chance.choice(texts), chance.randint(0, 4), chance) for _ in range(10_000)]
    chance.shuffle(texts)
    two_crawls(folder, texts, 8, chance)
    stages = [{"rule": "exact.v1"}, {"rule": "minhash.v1", "preset": "fineweb"}]
    stages = [{**stage, "survivor": "newest"} for stage in stages]
    recipe = Recipe.model_validate({"name": "two", "dedup": stages})
    finished(recipe, [folder / "a"], folder / "run-a")
    finished(recipe, [folder / "a", folder / "b"], folder / "run-both")
    finished(recipe, [folder / "b"], folder / "run-b", earlier=(folder / "run-a",))
    finished(recipe, [folder / "a"], folder / "run-again")
    kept = set(texts_of(folder / "run-a"))
    changed = table(folder / "run-b", "retractions")
    kept -= {row["id"] for row in changed if not row["kept"]}
    kept |= {row["id"] for row in changed if row["kept"]}
    return {
        "documents": len(texts), "retractions": len(changed),
        "added_equals_both": kept | set(texts_of(folder / "run-b")) == set(texts_of(folder / "run-both")),
        "taken_away_equals_first": manifest(folder / "run-again")["content_hash"]
        == manifest(folder / "run-a")["content_hash"],
    }  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        proof = {"old_both": old_both, "substring": substring, "earlier": earlier}[sys.argv[1]]
        print(json.dumps(proof(Path(scratch), Path(os.environ["WERP_DATA"]) / "corpora"), indent=1))
