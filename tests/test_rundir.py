"""Files appear whole or not at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from werp.errors import WerpError, from_os
from werp.rundir import RunDirectory, new_file


def test_a_failed_write_leaves_nothing_and_names_the_file(tmp_path: Path) -> None:
    target = tmp_path / "tables" / "x.parquet"

    def fail() -> None:
        with new_file(target, tmp_path / "tmp") as partial:
            partial.write_bytes(b"half")
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail()
    assert not target.exists()
    assert os.listdir(tmp_path / "tmp") == []


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a Linux device")
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    target = tmp_path / "tables" / "x.parquet"

    def fill() -> None:
        with new_file(target, tmp_path / "tmp") as partial:
            partial.symlink_to("/dev/full")
            partial.write_bytes(b"data")

    with pytest.raises(OSError, match=r"No space left.*x\.parquet"):
        fill()
    assert not target.exists()


def test_an_input_that_vanishes_is_named_and_not_what_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, new_file(tmp_path / "x.parquet", tmp_path / "tmp"):
        (tmp_path / "crawl.warc.gz").read_bytes()
    assert str(from_os(caught.value)).startswith(
        f"{tmp_path}/crawl.warc.gz: No such file or directory; it is"
    )
    assert os.listdir(tmp_path / "tmp") == []


def test_two_runs_in_one_directory_are_refused(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "out", "k" * 64)
    with run.lock(), pytest.raises(WerpError, match="another run is writing"), run.lock():
        pass


def test_the_commit_replaces_an_older_run_whole(tmp_path: Path) -> None:
    output = tmp_path / "out"
    for key, names in (("a" * 64, ["1", "2"]), ("b" * 64, ["2", "3"])):
        run = RunDirectory(output, key)
        for name in names:
            with new_file(run.staged("ledger") / name, run.work / "tmp") as partial:
                partial.write_text(key)
        run.commit({"key": key}, {"ledger": names})
    assert sorted(os.listdir(output / "ledger")) == ["2", "3"]
    assert {path.read_text() for path in (output / "ledger").iterdir()} == {"b" * 64}
    assert RunDirectory(output, "x").manifest() == {"key": "b" * 64}
    assert not (output / "_work").exists()


def test_a_commit_without_its_files_fails(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "out", "a" * 64)
    run.work.mkdir(parents=True)
    with pytest.raises(WerpError, match="vanished"):
        run.commit({}, {"ledger": ["missing"]})
    assert run.manifest() is None


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(WerpError, match=r"run\.json: not valid JSON"):
        RunDirectory(tmp_path, "a").manifest()
