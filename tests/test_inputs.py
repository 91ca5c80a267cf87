"""Names of inputs follow their listed root; mistakes say what is wrong."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from werp.errors import WerpError
from werp.inputs import list_inputs


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    for name in ("a/x.warc.gz", "b/x.warc.gz", "b/y.arc", "b/notes.txt"):
        path = tmp_path / "crawl" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "crawl"


def names(*patterns: object) -> list[str]:
    return [file.name for file in list_inputs([str(pattern) for pattern in patterns])]


def test_names_are_relative_to_the_root_and_sorted(crawl: Path) -> None:
    assert names(crawl) == ["a/x.warc.gz", "b/x.warc.gz", "b/y.arc"]
    assert names(crawl / "b" / "y.arc") == ["y.arc"]
    assert names(f"{crawl}/*/*.gz") == ["a/x.warc.gz", "b/x.warc.gz"]


def test_a_glob_expanded_by_the_shell_gives_the_same_names(crawl: Path) -> None:
    quoted = list_inputs([f"{crawl}/**/*.gz"])
    expanded = list_inputs([str(crawl / "b/x.warc.gz"), str(crawl / "a/x.warc.gz")])
    assert quoted == expanded


def test_equal_relative_names_of_two_roots_are_told_apart(crawl: Path) -> None:
    assert names(crawl / "a", crawl / "b") == ["a/x.warc.gz", "b/x.warc.gz", "b/y.arc"]


def test_a_file_reached_twice_is_read_once(crawl: Path) -> None:
    assert names(crawl, crawl / "a" / "x.warc.gz") == ["a/x.warc.gz", "b/x.warc.gz", "b/y.arc"]


def test_a_list_file_names_relative_to_its_folder(crawl: Path) -> None:
    listing = crawl / "files.paths"
    listing.write_text("# two files\nb/x.warc.gz\n\na/x.warc.gz\n")
    assert names(listing) == ["a/x.warc.gz", "b/x.warc.gz"]
    assert names(f"@{listing}") == ["a/x.warc.gz", "b/x.warc.gz"]


def test_common_crawls_own_list_is_a_list(
    crawl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Packed, of thousands of entries, somewhere else than the files: `warc.paths.gz` as it is published."""
    entries = "b/x.warc.gz\r\na/x.warc.gz\n"
    published = ("warc.paths.gz", "wet.paths.gz", "CC-MAIN-2026-05.warc.paths.gz", "WARC.PATHS.GZ")
    for name in (*published, "warc.paths (1).gz", "warc.paths(2).gz", "warc.paths.gz.1"):
        (crawl / name).write_bytes(gzip.compress(entries.encode()))
        assert names(crawl / name) == names(f"@{crawl / name}") == ["a/x.warc.gz", "b/x.warc.gz"]
    (crawl / "plain.paths").write_bytes(b"\xef\xbb\xbf" + entries.encode())
    (crawl / "packed.txt").write_bytes(gzip.compress(entries.encode()))
    for listing in ("plain.paths", "pl*.paths", "[w]arc.paths.gz", "@packed.txt"):
        pattern = f"@{crawl / listing[1:]}" if listing.startswith("@") else str(crawl / listing)
        assert names(pattern) == ["a/x.warc.gz", "b/x.warc.gz"]
    elsewhere = tmp_path / "list" / "warc.paths.gz"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(gzip.compress(entries.encode()))
    assert [file.name for file in list_inputs([str(elsewhere)], crawl)] == ["a/x.warc.gz", "b/x.warc.gz"]
    assert names(crawl) == ["a/x.warc.gz", "b/x.warc.gz", "b/y.arc"]  # in a folder it is no input
    assert "are no inputs by their names" in capsys.readouterr().err
    for content, says in (
        (entries + "crawl-data/CC-MAIN-2026-05/x.warc.gz\n" * 7, r"line 3: no such file: .*; 7 of 9 entries"),
        (
            "s3://commoncrawl/crawl-data/x.warc.gz\nb/x.warc.gz\n",
            r"line 1: s3://commoncrawl/.*such are 1 of 2",
        ),
        ("https://data.commoncrawl.org/x.warc.gz\n" * 3, r"https:// can't be read.*such are 3 of 3 entries"),
        ("", "names no file"),
    ):
        elsewhere.write_bytes(gzip.compress(content.encode()))
        with pytest.raises(WerpError, match=rf"warc\.paths\.gz.*{says}"):
            list_inputs([str(elsewhere)], crawl)
    elsewhere.write_bytes(gzip.compress(entries.encode())[:-9])
    with pytest.raises(WerpError, match="gzip is damaged"):
        list_inputs([str(elsewhere)], crawl)
    with pytest.raises(WerpError, match=r"--root .*nowhere: no such folder"):
        list_inputs([str(elsewhere)], crawl / "nowhere")


def test_identity_follows_content_not_place(crawl: Path, tmp_path: Path) -> None:
    before = list_inputs([str(crawl)])
    crawl.rename(tmp_path / "moved")
    after = list_inputs([str(tmp_path / "moved")])
    assert [(f.name, f.identity) for f in before] == [(f.name, f.identity) for f in after]
    (tmp_path / "moved/b/y.arc").write_bytes(b"b/y.arC")
    assert list_inputs([str(tmp_path / "moved")])[2].identity != before[2].identity
    large = tmp_path / "large.warc"
    identities = set()
    for ends in (b"aa", b"ab", b"ba"):  # the first and the last byte of 3 MiB
        large.write_bytes(ends[:1] + bytes(3 << 20) + ends[1:])
        identities.add(list_inputs([str(large)])[0].identity)
    assert len(identities) == 3


def test_what_lies_beside_archives_is_none(crawl: Path) -> None:
    before = names(crawl)
    for name in ("a/x.warc.gz.md5", "a/x.warc.gz.sha1", "b/x.warc.os.cdx.gz", "b/y.arc.cdxj"):
        (crawl / name).write_text("d41d8cd98f00b204e9800998ecf8427e")
    assert names(crawl) == before
    assert names(crawl / "a" / "x.warc.gz.md5") == ["x.warc.gz.md5"]


def test_runs_below_a_folder_are_not_looked_into(crawl: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = names(crawl)
    killed, finished = crawl / "out" / "killed", crawl / "out" / "finished"
    for path in (
        killed / "_work" / "lock",
        killed / "_work" / "records" / "x.warc.gz-1-none.2.parquet",
        finished / "run.json",
        finished / "ledger" / "x.warc.gz-1-none.2.parquet",
        finished / "shards" / "shard-00000.parquet",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    capsys.readouterr()
    assert names(crawl) == before
    assert "out/finished, out/killed" in capsys.readouterr().err
    assert names(finished / "shards") == ["shard-00000.parquet"]
    with pytest.raises(WerpError, match=r"a run's folder.*finished/shards"):
        list_inputs([str(finished)])


def test_links_are_no_silent_loss(crawl: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (crawl / "again").symlink_to(crawl / "b")
    assert names(crawl) == ["a/x.warc.gz", "b/x.warc.gz", "b/y.arc"]
    assert "links to folders are not followed: again" in capsys.readouterr().err
    (crawl / "b" / "z.warc.gz").symlink_to("not-fetched")
    for pattern in (crawl, f"{crawl}/b/*.gz"):
        with pytest.raises(WerpError, match=r"z\.warc\.gz: a link to a file that isn't there"):
            list_inputs([str(pattern)])


def test_a_name_that_no_table_can_hold_is_refused(crawl: Path) -> None:
    with open(os.fsencode(crawl) + b"/b/\xff.warc", "wb"):
        pass
    with pytest.raises(WerpError, match="not UTF-8; rename"):
        list_inputs([str(crawl)])


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("missing.warc.gz", "no such file or folder"),
        ("*.nothing", "matches no file"),
        ("s3://bucket/x.warc.gz", "copy the files"),
        ("@missing.txt", "can't be read"),
    ],
)
def test_mistakes_are_named(pattern: str, words: str) -> None:
    with pytest.raises(WerpError, match=words) as caught:
        list_inputs([pattern])
    assert pattern.removeprefix("@") in str(caught.value)


def test_a_list_naming_a_missing_file_says_the_line(crawl: Path) -> None:
    listing = crawl / "files.paths"
    listing.write_text("a/x.warc.gz\nnowhere.warc\n")
    with pytest.raises(
        WerpError, match=r"line 2: no such file: .*/nowhere\.warc; 1 of 2 entries are not there"
    ):
        list_inputs([str(listing)])


def test_a_list_that_is_none_is_named(tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    (tmp_path / "warc.paths.xz").write_bytes(b"\xfd7zXZ\0")
    with pytest.raises(WerpError, match="plain or gzip"):
        list_inputs([str(tmp_path / "warc.paths.xz")])
    for content, says in (
        (b"# later\n\n", "names no file"),
        (b"\xff\xfe\n", "UTF-8 text"),
        (None, "can't be read"),
    ):
        if content is None:
            listing.unlink()
        else:
            listing.write_bytes(content)
        with pytest.raises(WerpError, match=rf"list\.txt: .*{says}"):
            list_inputs([f"@{listing}"])
    with pytest.raises(WerpError, match="an empty name"):
        list_inputs([""])


def test_a_folder_without_archives_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WerpError, match="holds no file"):
        list_inputs([str(tmp_path)])


def test_rows_are_read_where_a_folder_holds_no_archive(crawl: Path, tmp_path: Path) -> None:
    (crawl / "b" / "index.jsonl.gz").write_bytes(b"of the archives")
    assert "b/index.jsonl.gz" not in names(crawl)
    data = tmp_path / "set"
    for name in (
        "data/train-0.parquet",
        "data/x.jsonl.zst",
        ".cache/y.parquet",
        "dataset_info.json",
        "README.md",
    ):
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"rows")
    assert names(data) == ["data/train-0.parquet", "data/x.jsonl.zst"]
    assert names(data / "dataset_info.json") == ["dataset_info.json"]
