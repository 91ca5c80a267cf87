"""The job on real archives: every record has its row, and warcio's count is met."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.job import manifest, run, table
from tests.read.test_archive import EXCEPTIONS, archives, by_warcio


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(900)
def test_the_job_reads_every_real_archive(werp_data: Path, tmp_path: Path) -> None:
    folder = werp_data / "warc"
    names = tmp_path / "all.txt"
    names.write_text("\n".join(str(path) for path in archives(werp_data)), "utf-8")
    fast = ["--set", "extract.extractors=[resiliparse]", "--workers", 2, "--partitions", 8]
    run("--recipe", "gopher_only", "--input", f"@{names}", "--output", tmp_path / "out", *fast)
    run_json, ledger = manifest(tmp_path / "out"), table(tmp_path / "out", "ledger")
    records = run_json["records"]
    assert records["in"] == records["kept"] + records["dropped"] + records["failed"] == len(ledger)
    rows = Counter(row["warc_file"] for row in ledger)
    failed = Counter(row["warc_file"] for row in ledger if row["outcome"] == "failed")
    wrong = []
    for path in archives(werp_data):
        name = path.relative_to(folder).as_posix()
        theirs, to_the_end = by_warcio(path, parse_http=True)
        wanted = EXCEPTIONS.get(name, (0, len(theirs)))[1]
        if (to_the_end and rows[name] != wanted) or rows[name] < len(theirs):
            wrong.append(f"{name}: {rows[name]} rows, warcio {len(theirs)}, to the end: {to_the_end}")
    assert wrong == []
    assert (
        failed["slyrz+warc/test.warc.bz2"]
        == failed["chatnoir-eu+chatnoir-resiliparse/warcfile.warc.lz4"]
        == 1
    )
    assert {entry["name"]: entry["records"] for entry in run_json["inputs"] if entry["records"]} == dict(rows)


@pytest.mark.timeout(900)
def test_the_job_on_crawl_pages(werp_data: Path, tmp_path: Path) -> None:
    path = werp_data / "warc-pages" / "pages-dev-00003.warc.gz"
    run("--recipe", "gopher_only", "--input", path, "--output", tmp_path / "out", "--workers", 2)
    run_json, ledger = manifest(tmp_path / "out"), table(tmp_path / "out", "ledger")
    theirs, to_the_end = by_warcio(path, parse_http=True)
    assert to_the_end
    assert run_json["records"]["in"] == len(theirs) == len(ledger)
    assert run_json["records"]["kept"] > 20
    assert {row["language"] for row in table(tmp_path / "out", "shards")} == {"en"}
