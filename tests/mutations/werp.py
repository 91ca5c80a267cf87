"""Wrong changes of the refinery: reading, extraction, rules, edits, deciding, deduplication, cuts, questions."""

from __future__ import annotations

from tests.mutations import Change

HTTP = ("tests/read/test_http.py",)
ARCHIVE = ("tests/read/test_archive.py",)
PAGES = ("tests/read/test_pages_in_runs.py",)
GUARD = ("tests/extract/test_guard.py", "tests/extract/test_pages.py", "-k", "next or supervisor or gave_up")
PREFILTERS = ("tests/extract/test_prefilters.py",)
LINES = ("tests/signals/test_line_rules.py",)
REPETITION = ("tests/signals/test_gopher_repetition.py",)
QUALITY = ("tests/signals/test_gopher_quality.py",)
LENGTH = ("tests/signals/test_length.py",)
LANGUAGES = ("tests/signals/test_languages.py",)
LISTS = ("tests/signals/test_url_rule.py", "tests/test_block_lists.py")
EDITS = ("tests/test_edits.py",)
DECIDE = ("tests/test_decide.py", "tests/signals/test_languages.py", "tests/test_left.py")
MINHASH = ("tests/dedup/test_minhash.py", "-k", "not union_find")
OLD_BOTH = ("tests/dedup/test_old_both.py", "-k", "threshold or bloom")
CUTS = ("tests/quality/test_cuts.py", "-k", "share or sort or buckets")
SHARDS = ("tests/stages/test_shards.py",)
KEYS = ("tests/stages/test_documents.py", "-k", "names")
INPUTS = ("tests/test_inputs.py",)
REPORT = ("tests/report/test_report.py", "-k", "numbers or alike or took_out")
FIND = ("tests/decontaminate/test_find.py", "-k", "not planted")
WHAT_IF = ("tests/ask/test_what_if.py", "-k", "refuses or without_a_change")
WHY = ("tests/test_left.py",)
CLOCK = ("tests/test_bad_pages.py",)
HASH = ("tests/test_refine.py", "-k", "ids_and_content_hash")

CHANGES = [
    # Reading.
    Change("chunk-sizes-are-decimal", "werp/read/http.py",
           "length = int(size[1], 16)", "length = int(size[1], 10) if size[1].isdigit() else 0", HTTP),
    Change("codings-are-undone-forwards", "werp/read/http.py",
           "for coding in reversed(codings):", "for coding in codings:", HTTP),
    Change("a-record-of-the-cap-is-too-large", "werp/read/archive.py",
           "return (b\"\".join(parts) if length <= self.max_block else None), length",
           "return (b\"\".join(parts) if length < self.max_block else None), length", ARCHIVE),
    Change("a-member-ends-a-record", "werp/read/archive.py",
           "if stated is not None and self._continues():", "if False:", ARCHIVE),
    Change("short-blocks-are-whole", "werp/read/archive.py",
           "complete = complete and (head.length is None or length >= head.length)", "pass", ARCHIVE),
    Change("prescan-believes-any-content", "werp/read/prescan.py",
           'if attributes.get(b"http-equiv", b"").lower() == b"content-type" and',
           'if b"content" in attributes and', PAGES),
    Change("status-300-is-a-page", "werp/pages.py",
           "if not 200 <= message.status < 300:", "if not 200 <= message.status <= 300:", PAGES),
    Change("a-page-of-the-cap-is-too-large", "werp/pages.py",
           "if len(body) > options.max_page_mb * _MIB:", "if len(body) >= options.max_page_mb * _MIB:", PAGES),
    # Extraction.
    Change("the-last-short-text-is-taken", "werp/extract/guard.py",
           "if best.text is None or len(text) > len(best.text):", "if True:", GUARD),
    Change("no-extractor-after-a-failure", "werp/extract/guard.py",
           'casualties.append(Casualty(extractor.name, header["error"], header["cause"]))\n'
           "                    continue",
           'casualties.append(Casualty(extractor.name, header["error"], header["cause"]))\n'
           "                    break", GUARD),
    Change("a-page-stays-in-flight", "werp/extract/guard.py",
           "        finally:\n            self._page = None", "        finally:\n            pass", GUARD),
    Change("magic-bytes-in-the-middle", "werp/extract/prefilters.py",
           "magic.match(html, 0, 4096)", "magic.search(html, 0, 4096)", PREFILTERS),
    Change("a-mixed-page-is-judged-by-its-middle", "werp/extract/prefilters.py",
           "if value < self.min_score and len(text) > _SAMPLE:", "if False:", PREFILTERS),
    # Rules.
    Change("three-words-are-too-few-for-c4", "werp/signals/c4.py",
           "len(words) < self.min_words_per_line:", "len(words) <= self.min_words_per_line:", LINES),
    Change("a-word-of-1000-is-too-long", "werp/signals/c4.py",
           "max(map(len, words), default=0) > longest", "max(map(len, words), default=0) >= longest", LINES),
    Change("half-capitals-are-too-many", "werp/signals/refinedweb_lines.py",
           "/ size > capitals:", "/ size >= capitals:", LINES),
    Change("phrases-of-ten-word-lines-stay", "werp/signals/refinedweb_lines.py",
           "else line.text.split()) > limit:", "else line.text.split()) >= limit:", LINES),
    Change("a-line-of-30-is-long", "werp/signals/fineweb_quality.py",
           "sum(len(line) <= self.short_line_length for line in lines)",
           "sum(len(line) < self.short_line_length for line in lines)", LINES),
    Change("repeated-lines-over-all-characters", "werp/signals/fineweb_quality.py",
           "len(text) - newlines,", "len(text),", LINES),
    Change("newlines-over-lines", "werp/signals/fineweb_quality.py",
           '"newline_ratio": ratio(newlines, words)', '"newline_ratio": ratio(newlines, lines)', LINES),
    Change("share-of-text-words", "werp/signals/gopher_quality.py",
           '"alpha_word_ratio": ratio(alpha, every)', '"alpha_word_ratio": ratio(alpha, words)', QUALITY),
    Change("first-copies-count", "werp/signals/repetition_counts.py",
           "again = 2 if dclm and seen[slot] == 2 else 1", "again = 2 if seen[slot] == 2 else 1", REPETITION),
    Change("blank-lines-are-lines", "werp/signals/length.py",
           "np.cumsum(full_lines(split))", "np.cumsum(np.ones_like(full_lines(split)))", LENGTH),
    Change("one-mask-for-all-addresses", "werp/signals/pii.py",
           "_IP_MASKS[turn % len(_IP_MASKS)]", "_IP_MASKS[0]", LINES),
    Change("as-many-soft-words-as-allowed-drop", "werp/signals/url.py",
           'value > check.threshold):', 'value >= check.threshold):', (*PREFILTERS, *LISTS)),
    Change("parents-of-a-host-are-not-blocked", "werp/signals/domain_list.py",
           "names = list(parents(address.host))", "names = [address.host]", LISTS),
    Change("exceptions-come-after-entries", "werp/signals/domain_list.py",
           'if not address.host or (self.counts.get("exception") and self.allowed.first(address)):',
           "if not address.host:", LISTS),
    Change("decontaminate-asks-for-more-than-half", "werp/decontaminate/find.py",
           "for _, place in cluster}) >= share * index.count[item]:",
           "for _, place in cluster}) > share * index.count[item]:", FIND),
    Change("five-items-make-boilerplate", "werp/decontaminate/index.py",
           "np.bincount(group, weights=new) > most_items", "np.bincount(group, weights=new) >= most_items", FIND),
    # Language, edits, deciding.
    Change("the-first-line-is-identified", "werp/language.py",
           'line = text.replace("\\n", " ")', 'line = text.partition("\\n")[0]',
           ("werp/language.py", "--doctest-modules", "tests/extract/test_pages.py", "-k", "labels or line_of or end_of_line")),
    Change("a-cut-replacement-gives-nothing-back", "werp/edits.py",
           'rest = tail[span.end - begins[last] :] if tail else ""', 'rest = ""', EDITS),
    Change("the-earlier-span-decides", "werp/edits.py",
           "key=lambda i: (spans[i].start, -spans[i].end, -i)", "key=lambda i: (spans[i].start, -spans[i].end, i)",
           EDITS),
    Change("the-last-check-names-the-drop", "werp/decide.py",
           "                undecided[at] = False\n    return", "    return", DECIDE),
    Change("tuned-languages-meet-the-defaults-too", "werp/decide.py",
           "        rest &= ~among\n", "", DECIDE),
    # Deduplication.
    Change("bands-lack-their-last-row", "werp/dedup/minhash.py",
           "for row in range(band * rows, (band + 1) * rows):", "for row in range(band * rows, (band + 1) * rows - 1):",
           ("tests/dedup/test_minhash.py::test_clusters_are_those_of_a_union_find[1]",)),
    Change("edges-lead-to-the-largest", "werp/dedup/components.py",
           "        if x < y:\n", "        if x > y:\n", MINHASH),
    Change("the-worst-survives", "werp/dedup/clusters.py",
           "order = np.lexsort((best, -preference, high, low))", "order = np.lexsort((best, preference, high, low))",
           MINHASH),
    Change("the-newest-is-the-oldest", "werp/dedup/context.py",
           'return np.array([_seconds(date) for date in dates], np.float64)',
           'return np.array([-_seconds(date) for date in dates], np.float64)', MINHASH),
    Change("similarity-of-the-first-band", "werp/dedup/minhash.py",
           "(own == other).mean(axis=1)", "(own == other)[:, :8].mean(axis=1)", MINHASH),
    Change("a-paragraph-at-the-threshold-goes", "werp/dedup/old_both.py",
           'key = "document" if share > stage.threshold else', 'key = "document" if share >= stage.threshold else',
           OLD_BOTH),
    Change("removed-paragraphs-are-seen", "werp/dedup/grams.py",
           "            stays[p] = False\n            continue\n        for k in range(a, b):\n"
           "            table[",
           "            stays[p] = False\n        for k in range(a, b):\n            table[", OLD_BOTH),
    # Cuts, ledger, shards, keys, inputs.
    Change("the-document-at-the-cut-goes", "werp/quality/cuts.py",
           "(keys[:, 2] <= c))", "(keys[:, 2] < c))", CUTS),
    Change("a-share-is-rounded-down", "werp/quality/cuts.py",
           "-(-share.numerator * totals[column] // share.denominator)",
           "share.numerator * totals[column] // share.denominator", CUTS),
    Change("content-hash-without-dates", "werp/stages/verdicts.py",
           'content = [row["url"], row["date"], language,', 'content = [row["url"], language,', HASH),
    Change("contaminated-pages-are-all-kept", "werp/stages/verdicts.py",
           "hits[1] += kept", "hits[1] += 1", ("tests/decontaminate/test_in_runs.py",)),
    Change("a-group-passes-its-target", "werp/stages/shards.py",
           "        if held >= target:\n            groups", "        if held > target:\n            groups", SHARDS),
    Change("a-shard-passes-its-target", "werp/stages/shards.py",
           "if held + size >= target), batch", "if held + size > target), batch", SHARDS),
    Change("key-without-page-seconds", "werp/stages/unit.py",
           '        "page_seconds": recipe.page_seconds,\n', "", KEYS),
    Change("key-without-limit", "werp/stages/unit.py", '        "limit": limit,\n', "", KEYS),
    Change("signals-key-without-earlier-edits", "werp/stages/unit.py",
           "[own, before] if before else own", "own", KEYS),
    Change("identity-of-the-first-mib", "werp/inputs.py",
           "            file.seek(max(0, size - _EDGE))\n", "", INPUTS),
    Change("comments-name-files", "werp/inputs.py",
           'if entry and not entry.startswith("#")]', "if entry]", INPUTS),
    # The report and the questions.
    Change("spans-are-documents", "werp/report/collect.py",
           "edited.documents += 1", "edited.documents += count", REPORT),
    Change("samples-are-the-first", "werp/report/collect.py",
           "if len(lots) < most or lot < lots[-1].lot:", "if len(lots) < most:", REPORT),
    Change("kept-pages-are-in-the-way", "werp/report/histogram.py",
           "enumerate((kept, here, ~kept & ~here))", "enumerate((kept, here, ~kept))", REPORT),
    Change("what-if-answers-for-prefilters", "werp/ask/what_if.py",
           '("read", "extract", "prefilters", "page_seconds")', '("read", "extract", "page_seconds")', WHAT_IF),
    Change("why-compares-with-the-untuned-rule", "werp/ask/why.py",
           "tuned = rule.for_language(label)", "tuned = rule", WHY),
    # The clock.
    Change("a-batch-fails-as-one", "werp/clock.py",
           "        if not isinstance(found, Failure):\n            yield rows, found\n            return",
           "        yield rows, found\n        return", CLOCK),
    Change("an-alarm-stays-set", "werp/clock.py",
           "        signal.setitimer(signal.ITIMER_REAL, 0)\n", "", CLOCK),
]  # fmt: skip
