"""Wrong changes of eval_harness/: pairing, intervals, normalisations, spans of continuations, start tokens."""

from __future__ import annotations

from tests.mutations import Change

STATISTICS = (
    "tests/eval_harness/test_statistics.py",
    "-k",
    "resample or paired or parts or noise or one_seed",
)

METRICS = ("tests/eval_harness/test_metrics.py",)
ENCODE = ("tests/eval_harness/test_encode.py",)
SCORER = (
    "tests/eval_harness/test_scorer.py::test_the_plain_contract_gives_the_same",
    "tests/eval_harness/test_scorer.py::test_a_small_window_drops_the_last_shots_and_says_so",
)
FOLDERS = ("tests/eval_harness/test_huggingface.py",)
RUN = ("tests/eval_harness/test_run.py::test_averages_are_the_papers_categories",)

CHANGES = [
    Change("seeds-unpaired-over-tasks", "eval_harness/statistics.py",
           "            m = matrix.shape[1]\n            picked",
           "            m = matrix.shape[1]\n"
           "            weights = rng.multinomial(n, np.full(n, 1 / n), size=size) / n\n            picked",
           STATISTICS),
    Change("seeds-unpaired-over-sides", "eval_harness/compare.py", "    if by_seed:\n", "    if False:\n",
           STATISTICS),
    Change("seeds-in-the-order-given", "eval_harness/compare.py",
           "a, b = (sorted(side, key=lambda run: str(run.scores.model[\"seed\"])) for side in (a, b))",
           "a, b = list(a), list(b)", STATISTICS),
    Change("seed-variance-of-a-population", "eval_harness/statistics.py",
           "seeds = float(by_seed.var(ddof=1)) / n", "seeds = float(by_seed.var(ddof=0)) / n", STATISTICS),
    Change("item-variance-of-a-population", "eval_harness/statistics.py",
           "matrix.mean(axis=0).var(ddof=1)) / m", "matrix.mean(axis=0).var(ddof=0)) / m", STATISTICS),
    Change("remainder-counted-twice", "eval_harness/statistics.py",
           "max(0.0, over_items - remainder)", "max(0.0, over_items)", STATISTICS),
    Change("noise-floor-of-one-side", "eval_harness/statistics.py",
           "math.sqrt(2 * variance / len(sides[0]))", "math.sqrt(variance / len(sides[0]))", STATISTICS),
    Change("quantile-of-n", "eval_harness/statistics.py",
           "stats.t.ppf((1 + LEVEL) / 2, n - 1)", "stats.t.ppf((1 + LEVEL) / 2, n)", STATISTICS),
    Change("characters-are-bytes", "eval_harness/metrics.py",
           '"per_character": np.array(self.characters)', '"per_character": np.array(self.bytes)', METRICS),
    Change("pmi-is-a-sum", "eval_harness/metrics.py",
           "log_p - np.array(self.unconditional)", "log_p + np.array(self.unconditional)", METRICS),
    Change("bits-per-character", "eval_harness/metrics.py",
           "-self.log_p[self.gold] / self.bytes[self.gold]",
           "-self.log_p[self.gold] / self.characters[self.gold]", METRICS),
    Change("leading-space-not-counted", "eval_harness/evaluate.py",
           "characters=tuple(map(len, prompt.continuations))",
           "characters=tuple(len(text.strip()) for text in prompt.continuations)", METRICS),
    Change("a-tie-is-right", "eval_harness/metrics.py",
           "(1.0 / int(best.sum()) if best[self.gold] else 0.0)", "float(best[self.gold])", METRICS),
    Change("standard-error-of-a-population", "eval_harness/metrics.py",
           "means.std(ddof=1) / math.sqrt(len(means))", "means.std(ddof=0) / math.sqrt(len(means))", METRICS),
    Change("items-weigh-alike-in-subjects", "eval_harness/metrics.py",
           "by.setdefault(i if cluster is None else cluster, [])", "by.setdefault(i, [])", METRICS),
    Change("errors-of-an-average-not-divided", "eval_harness/metrics.py",
           "math.sqrt(sum(error**2 for error in errors)) / len(values)",
           "math.sqrt(sum(error**2 for error in errors))", RUN),
    Change("predicted-one-too-late", "eval_harness/trees.py",
           "columns += range(start - 1 - skip, trunk - skip)", "columns += range(start - skip, trunk - skip + 1)",
           SCORER),
    Change("continuation-one-token-longer", "eval_harness/encode.py",
           "min(len(head), len(whole) - 1)", "min(len(head) - 1, len(whole) - 1)", ENCODE),
    Change("cut-inside-a-word", "eval_harness/encode.py",
           'tail[:1] == " " and tail[1:2] in PRINTABLE', "True", ENCODE),
    Change("cut-before-any-blank", "eval_harness/encode.py",
           "while at > 0 and not (text[at - 1] in PRINTABLE and text[at + 1] in PRINTABLE):",
           "while False:", ENCODE),
    Change("every-tokenizer-is-cut", "eval_harness/encode.py",
           "== split(tokenizer, text)", "!= []", ENCODE),
    Change("a-window-one-too-short", "eval_harness/scorer.py",
           "if longest <= self.model.window:", "if longest < self.model.window:", FOLDERS + SCORER),
    Change("start-token-is-scored", "eval_harness/scorer.py",
           "[*self.start, *joined[0]], len(self.start) + joined[1]", "[*self.start, *joined[0]], joined[1]",
           FOLDERS),
    Change("start-token-forgotten", "eval_harness/adapters/huggingface.py",
           "return start if first in start else (first, *start)", "return start", FOLDERS),
    Change("places-before-text-not-counted", "eval_harness/adapters/positions.py",
           "self.found.append(len(table) - first)", "self.found.append(len(table))", FOLDERS),
    Change("fixed-tables-forgotten", "eval_harness/adapters/positions.py",
           "fixed = True", "fixed = False", FOLDERS),
    Change("encoders-are-scored", "eval_harness/adapters/huggingface.py",
           "if not positions.causal:", "if False:", FOLDERS),
]  # fmt: skip
