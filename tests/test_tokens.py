"""werp.tokens: what is written is the text, whole, in order, and the same each time."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import os
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from models.data import Tokens, token_bytes
from models.prefetch import join_documents
from tests.eval_harness.kinds import kinds, trained
from werp.errors import WerpError
from werp.inputs import list_inputs
from werp.quality.rows import read_source
from werp.quality.spec import Source
from werp.read.rows import Given, read_rows
from werp.tokens import END, tokenize
from werp.tokens.build import Task, run_here
from werp.tokens.command import main
from werp.tokens.export import export_megatron, export_olmo
from werp.tokens.folder import staging
from werp.tokens.job import encode_task
from werp.tokens.sources import BATCH, Band, input_files, texts

TEXTS = [
    f"Document {i} says: rain fell on the {i % 7}th hill, naïve 你好\n\n" * (1 + i % 3) for i in range(150)
]

#: Of every kind, and the ones that find an end token in their vocabulary.
KINDS = {name: made for name, (made, _) in kinds(TEXTS).items()} | {
    "words at blanks, lower case": trained(
        "wordlevel", TEXTS, pre_tokenizers.WhitespaceSplit(), normalizers.Lowercase()
    ),
    "pieces at blanks": trained("wordpiece", TEXTS, pre_tokenizers.WhitespaceSplit()),
    "whole words": trained("bpe", TEXTS, pre_tokenizers.WhitespaceSplit()),
    "bytes for the unknown": trained("unigram", TEXTS, pre_tokenizers.Metaspace()),
}
KINDS["whole words"].model.ignore_merges = True


def write_run(folder: Path, texts: Sequence[str | None], files: int = 2) -> Path:
    """A run directory with the texts spread over Parquet shards in order, and a manifest."""
    (folder / "shards").mkdir(parents=True)
    step = -(-len(texts) // files)
    for number in range(files):
        part = texts[number * step : (number + 1) * step]
        table = pa.table({"id": [str(i) for i in range(len(part))], "text": pa.array(part, pa.string())})
        pq.write_table(table, folder / "shards" / f"part-{number}.parquet")
    manifest = {"content_hash": "abc123", "recipe": {"name": "gopher_only"}, "key": "k9"}
    (folder / "run.json").write_text(json.dumps(manifest))
    return folder


def column(path: Path) -> NDArray[Any]:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    assert reader.num_record_batches == 1
    values: NDArray[Any] = reader.get_batch(0).column(0).to_numpy(zero_copy_only=True)
    return values


def test_documents_come_back_in_order_and_each_ends_with_the_end_token(tmp_path: Path) -> None:
    metadata = tokenize(write_run(tmp_path / "run", TEXTS), tmp_path / "out", vocab_size=300)
    tokens, offsets = column(tmp_path / "out/tokens.arrow"), column(tmp_path / "out/offsets.arrow")
    tokenizer = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    assert (tokens.dtype.name, offsets.dtype.name) == ("uint16", "int64")
    assert metadata.tokens == len(tokens) == offsets[-1]
    assert metadata.documents == len(TEXTS) == len(offsets) - 1
    assert len(TEXTS) > BATCH  # more than one batch was read
    for i, text in enumerate(TEXTS):
        ids = tokens[offsets[i] : offsets[i + 1]].tolist()
        assert ids[-1] == tokenizer.token_to_id(END) == metadata.end_token
        assert metadata.end_token not in ids[:-1]
        assert tokenizer.decode(ids[:-1]) == text


def test_the_metadata_names_tokenizer_source_and_content(tmp_path: Path) -> None:
    metadata = tokenize(write_run(tmp_path / "run", TEXTS), tmp_path / "out", vocab_size=300)
    schema = pa.ipc.open_file(pa.memory_map(str(tmp_path / "out/tokens.arrow"))).schema
    assert json.loads(schema.metadata[b"werp.tokens"]) == metadata.model_dump()
    file = (tmp_path / "out/tokenizer.json").read_bytes()
    assert metadata.tokenizer_sha256 == hashlib.sha256(file).hexdigest()
    assert (metadata.run_content_hash, metadata.recipe, metadata.run_key) == ("abc123", "gopher_only", "k9")
    buffer = column(tmp_path / "out/tokens.arrow").astype("<u2").tobytes()
    assert metadata.tokens_sha256 == hashlib.sha256(buffer).hexdigest()
    assert "trained on this text" in metadata.tokenizer


def test_a_rerun_and_another_number_of_shards_give_the_same_bytes(tmp_path: Path) -> None:
    outputs = [tmp_path / "a", tmp_path / "b"]
    tokenize(write_run(tmp_path / "two", TEXTS, files=2), outputs[0], vocab_size=400)
    tokenize(write_run(tmp_path / "five", TEXTS, files=5), outputs[1], vocab_size=400)
    for name in ("tokens.arrow", "offsets.arrow", "tokenizer.json"):
        assert (outputs[0] / name).read_bytes() == (outputs[1] / name).read_bytes()


def test_arrow_shards_and_a_bare_folder_are_read_and_null_texts_left_out(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    table = pa.table({"text": pa.array(["one", None, "two"], pa.large_string())})
    with pa.ipc.new_file(str(tmp_path / "bare/x.arrow"), table.schema) as writer:
        writer.write_table(table)
    metadata = tokenize(tmp_path / "bare", tmp_path / "out", vocab_size=257)
    assert (metadata.documents, metadata.run_content_hash) == (2, None)


def test_a_text_that_spells_the_end_token_does_not_end_its_document(tmp_path: Path) -> None:
    text = f"before {END} after"
    metadata = tokenize(write_run(tmp_path / "run", [text, "x"], files=1), tmp_path / "out", vocab_size=257)
    tokens = column(tmp_path / "out/tokens.arrow")
    assert (tokens == metadata.end_token).sum() == 2
    assert metadata.tokens == len(text) + len("x") + 2  # 257 entries: one a byte, none for a pair


def test_a_given_tokenizer_of_65536_entries_makes_32_bit_tokens(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", TEXTS)
    tokenize(run, tmp_path / "first", vocab_size=300)
    tokenizer = Tokenizer.from_file(str(tmp_path / "first/tokenizer.json"))
    tokenizer.add_tokens([f"never-{i}" for i in range(65_536 - tokenizer.get_vocab_size())])
    tokenizer.save(str(tmp_path / "large.json"))
    metadata = tokenize(run, tmp_path / "out", tmp_path / "large.json")
    assert column(tmp_path / "out/tokens.arrow").dtype.name == "uint32"
    assert (metadata.vocabulary, metadata.tokenizer) == (65_536, "given: large.json")
    assert (tmp_path / "out/tokenizer.json").read_bytes() == (tmp_path / "large.json").read_bytes()


def test_an_earlier_token_folder_is_replaced_and_anything_else_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", TEXTS)
    tokenize(run, tmp_path / "out", vocab_size=300)
    assert tokenize(run, tmp_path / "out", vocab_size=280).vocabulary == 280
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.txt").write_text("precious")
    with pytest.raises(WerpError, match="no token folder"):
        tokenize(run, tmp_path / "other")
    assert (tmp_path / "other/thesis.txt").read_text() == "precious"
    (tmp_path / "out/model").mkdir()  # would go with the tokens that are replaced
    with pytest.raises(WerpError, match="beside the tokens it holds model"):
        tokenize(run, tmp_path / "out")
    assert (tmp_path / "out/model").is_dir()


def test_a_failure_leaves_nothing_and_keeps_the_earlier_folder(tmp_path: Path) -> None:
    tokenize(write_run(tmp_path / "run", TEXTS), tmp_path / "out", vocab_size=300)
    before = (tmp_path / "out/tokens.arrow").read_bytes()
    shard = tmp_path / "run/shards/part-1.parquet"
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(WerpError, match=r"part-1\.parquet"):
        tokenize(tmp_path / "run", tmp_path / "out", vocab_size=300)
    assert (tmp_path / "out/tokens.arrow").read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"run", "out"}


def test_bad_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(WerpError, match=r"no .*shard"):
        tokenize(tmp_path, tmp_path / "out")
    run = write_run(tmp_path / "run", TEXTS)
    with pytest.raises(WerpError, match="at least 257"):
        tokenize(run, tmp_path / "out", vocab_size=100)
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(WerpError, match=r"bad\.json.*not a tokenizer"):
        tokenize(run, tmp_path / "out", tmp_path / "bad.json")
    (tmp_path / "columns").mkdir()
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "columns/a.parquet")
    with pytest.raises(WerpError, match="no column `text`"):
        tokenize(tmp_path / "columns", tmp_path / "out")
    with pytest.raises(WerpError, match="no document"):
        tokenize(write_run(tmp_path / "empty", [], files=1), tmp_path / "out")


def test_the_command_line_works_without_spark(tmp_path: Path) -> None:
    write_run(tmp_path / "run", TEXTS)
    code = "import sys; sys.modules['pyspark'] = None; from werp.tokens.command import main; main()"
    arguments = ["--run", str(tmp_path / "run"), "--output", str(tmp_path / "out"), "--vocab-size", "300"]
    arguments.append("--no-spark")
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert "of 150 documents, 300 entries" in done.stdout
    failed = subprocess.run(
        [sys.executable, "-m", "werp.tokens", "--run", str(tmp_path / "none"), "--output", "x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 2
    assert failed.stderr.startswith("werp.tokens: ")
    assert "Traceback" not in failed.stderr


def test_what_a_killed_task_left_does_not_stay(tmp_path: Path) -> None:
    def runner(tasks: Sequence[Task]) -> None:
        Path(tasks[0][4] + ".4711").write_bytes(b"half")
        run_here(tasks)

    tokenize(write_run(tmp_path / "run", TEXTS), tmp_path / "out", vocab_size=300, runner=runner)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "tokens.arrow",
        "offsets.arrow",
        "tokenizer.json",
    }


def test_spark_writes_what_one_process_writes(tmp_path: Path) -> None:
    """Any number of workers, the library's own encoding, one document at a time: the same bytes."""
    run = write_run(tmp_path / "run", TEXTS, files=3)
    metadata = tokenize(run, tmp_path / "here", vocab_size=300)
    command = [
        sys.executable, "-m", "werp.tokens", "--run", str(run), "--output", str(tmp_path / "there"),
        "--tokenizer", str(tmp_path / "here/tokenizer.json"), "--workers", "2",
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, text=True, check=True)
    for name in ("tokens.arrow", "offsets.arrow"):
        assert column(tmp_path / "there" / name).tobytes() == column(tmp_path / "here" / name).tobytes()
    tokenizer = Tokenizer.from_file(str(tmp_path / "here/tokenizer.json"))
    alone = [i for text in TEXTS for i in [*tokenizer.encode(text).ids, metadata.end_token]]
    assert column(tmp_path / "there/tokens.arrow").tolist() == alone
    assert {p.name for p in (tmp_path / "there").iterdir()} == {
        "tokens.arrow",
        "offsets.arrow",
        "tokenizer.json",
    }


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.xz", "a.jsonl.zst"])
def test_text_files_are_read_whole(tmp_path: Path, name: str) -> None:
    rows = "".join(json.dumps({"n": i, "body": text}) + "\n" for i, text in enumerate(TEXTS)).encode()
    pack = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.ZstdCompressor().compress}
    file = tmp_path / name
    file.write_bytes(pack.get(file.suffix, bytes)(rows + b"\n" + json.dumps({"body": None}).encode() + b"\n"))
    assert [text for batch in texts(file, "body") for text in batch] == TEXTS


def test_a_text_file_is_one_document_and_folders_and_globs_are_listed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/b.txt").write_text("two\nlines")
    (tmp_path / "in/a.jsonl").write_text('{"text": "one"}\n')
    (tmp_path / "in/notes.md").write_text("not read")
    assert [p.name for p in input_files([str(tmp_path / "in")])] == ["a.jsonl", "b.txt"]
    assert [p.name for p in input_files([str(tmp_path / "in/*.txt")])] == ["b.txt"]
    metadata = tokenize(None, tmp_path / "out", vocab_size=257, files=input_files([str(tmp_path / "in")]))
    assert (metadata.documents, metadata.tokens) == (2, len("one") + len("two\nlines") + 2)
    with pytest.raises(WerpError, match=r"notes\.md: not a kind"):
        input_files([str(tmp_path / "in/*")])
    with pytest.raises(WerpError, match="no file"):
        input_files([str(tmp_path / "nothing*")])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{oops", r"line 2: not JSON"),
        ('{"body": "x"}', r"line 2: no key 'text' \(it has body\)"),
        ('{"text": 3}', r"line 2: 'text' is int"),
        ('{"text": ' + "[" * 100_000, r"line 2: not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(WerpError, match=message):
        list(texts(tmp_path / "a.jsonl"))


def test_half_a_surrogate_pair_costs_a_character_not_the_job(tmp_path: Path) -> None:
    """JSON can spell what no text can hold; the refinery reads it so, too."""
    (tmp_path / "a.jsonl").write_text(r'{"text": "x \ud800 y"}' + "\n" + r'{"text": "a \ud83d\ude42"}' + "\n")
    assert list(texts(tmp_path / "a.jsonl")) == [["x ? y", "a 🙂"]]
    assert tokenize(None, tmp_path / "out", vocab_size=257, files=[tmp_path / "a.jsonl"]).documents == 2


def test_a_batch_is_bounded_in_characters(tmp_path: Path) -> None:
    sizes = [300, 900, 100, 100, 100, 5000, 1]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": "x" * n}) + "\n" for n in sizes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("werp.tokens.sources.CHARACTERS", 1000)
        found = [list(map(len, batch)) for batch in texts(tmp_path / "a.jsonl")]
    assert found == [[300, 900], [100, 100, 100, 5000], [1]]


def test_what_a_vocabulary_is_trained_on_does_not_depend_on_the_files(tmp_path: Path) -> None:
    """Where there is more text than it takes, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("werp.tokens.build.TRAINED_ON", 2000)
        patch.setattr("werp.tokens.vocabulary.TRAINED_ON", 2000)
        for files in (1, 7):
            run = write_run(tmp_path / f"run-{files}", TEXTS, files=files)
            tokenize(run, tmp_path / f"out-{files}", vocab_size=400)
    assert sum(map(len, TEXTS)) > 4000
    for name in ("tokens.arrow", "tokenizer.json"):
        assert (tmp_path / "out-1" / name).read_bytes() == (tmp_path / "out-7" / name).read_bytes()


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_line_ends_stay_as_they_are(tmp_path: Path, name: str) -> None:
    text = "a\r\nb\rc\n"
    (tmp_path / name).write_bytes((gzip.compress if name.endswith("gz") else bytes)(text.encode()))
    assert list(texts(tmp_path / name)) == [[text]]


@pytest.mark.parametrize("kind", ["not special", "not added"])
def test_an_end_token_that_its_tokenizer_calls_plain_ends_no_document_early(
    tmp_path: Path, kind: str
) -> None:
    run = write_run(tmp_path / "run", [f"before {END} after", "x"], files=1)
    tokenize(run, tmp_path / "first", vocab_size=257)
    facts = json.loads((tmp_path / "first/tokenizer.json").read_text())
    if kind == "not special":
        facts["added_tokens"][0]["special"] = False
    else:
        facts["added_tokens"] = []
    (tmp_path / "plain.json").write_text(json.dumps(facts))
    metadata = tokenize(run, tmp_path / "out", tmp_path / "plain.json")
    tokens = column(tmp_path / "out/tokens.arrow")
    assert (tokens == metadata.end_token).sum() == metadata.documents == 2
    assert tokens.tolist() == column(tmp_path / "first/tokens.arrow").tolist()


def test_what_a_killed_command_left_goes_with_the_next(tmp_path: Path) -> None:
    """And what one that still runs holds stays."""
    run = write_run(tmp_path / "run", TEXTS)
    code = (
        "import os, signal, sys; from pathlib import Path; from werp.tokens import tokenize\n"
        "def runner(tasks): os.kill(os.getpid(), signal.SIGKILL)\n"
        "tokenize(Path(sys.argv[1]), Path(sys.argv[2]), vocab_size=257, runner=runner)"
    )
    command = [sys.executable, "-c", code, str(run), str(tmp_path / "out")]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -9
    assert len(list(tmp_path.glob(".out.partial-*"))) == 1
    with staging(tmp_path / "out") as alive:
        tokenize(run, tmp_path / "out", vocab_size=257)
        assert list(tmp_path.glob(".out.partial-*")) == [alive]
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out"}


def test_an_export_that_is_stopped_leaves_no_shorter_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A raw array has no length of its own: cut short it would pass for a whole one."""
    tokenize(write_run(tmp_path / "run", TEXTS), tmp_path / "out", vocab_size=300)

    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("werp.tokens.export.sync", fail)
    for export, name in ((export_olmo, "text.npy"), (export_megatron, "text")):
        with pytest.raises(OSError, match="disk is full"):
            export(tmp_path / "out", tmp_path / "x" / name)
        assert not list((tmp_path / "x").iterdir())


def test_an_index_never_stands_beside_other_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped between the two files, an export over an earlier one leaves ids without an index."""
    tokenize(write_run(tmp_path / "run", TEXTS), tmp_path / "out", vocab_size=300)
    export_megatron(tmp_path / "out", tmp_path / "text")
    synced: list[Any] = []

    def fail_second(file: Any) -> None:
        synced.append(file)
        if len(synced) == 2:
            raise OSError("the disk is full")

    monkeypatch.setattr("werp.tokens.export.sync", fail_second)
    with pytest.raises(OSError, match="disk is full"):
        export_megatron(tmp_path / "out", tmp_path / "text")
    assert not (tmp_path / "text.idx").exists()


@pytest.mark.parametrize(
    ("flag", "target", "message"),
    [
        ("--olmo", "here", "exists and is no file"),
        ("--olmo", "pipe", "exists and is no file"),
        ("--megatron", "here", "exists and is no file"),
        ("--olmo", "out/tokens.arrow", "lies in --output"),
        ("--megatron", "out/m", "lies in --output"),
    ],
)
def test_an_export_replaces_no_folder_device_or_tokens(
    tmp_path: Path, flag: str, target: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.txt").write_text("some words")
    words = [
        "werp.tokens",
        "--no-spark",
        "--input",
        str(tmp_path / "a.txt"),
        "--output",
        str(tmp_path / "out"),
    ]
    monkeypatch.setattr(sys, "argv", [*words, flag, str(tmp_path / target)])
    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit):
        main()
    assert message in said.getvalue()
    assert not (tmp_path / "out").exists()


def test_a_file_reached_twice_is_read_once(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("some words")
    found = input_files([str(tmp_path / "b.txt"), str(tmp_path), f"{tmp_path}/../{tmp_path.name}/*.txt"])
    assert [path.name for path in found] == ["b.txt", "a.txt"]


def test_the_working_directory_can_be_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run", TEXTS)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    tokenize(run, Path("."), vocab_size=257)
    assert (tmp_path / "here/tokens.arrow").is_file()


def test_a_band_holds_the_documents_with_such_a_score(tmp_path: Path) -> None:
    scores = [None if i % 10 == 0 else i / 100 for i in range(100)]
    table = pa.table({"text": [f"text {i}" for i in range(100)], "score": scores})
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    for low, high in ((0.25, 0.5), (-np.inf, 0.07), (0.99, np.inf)):
        expected = [f"text {i}" for i, s in enumerate(scores) if s is not None and low <= s < high]
        for name in ("a.parquet", "a.arrow", "a.jsonl"):
            found = [t for batch in texts(tmp_path / name, band=Band("score", low, high)) for t in batch]
            assert found == expected
    assert Band.parse("q:0.5:") == Band("q", 0.5)
    for bad in ("q", "q:1:0", ":0:1", "q:a:b"):
        with pytest.raises(WerpError, match="--band"):
            Band.parse(bad)
    with pytest.raises(WerpError, match="no column `quality`"):
        list(texts(tmp_path / "a.parquet", band=Band("quality")))
    with pytest.raises(WerpError, match="no line has a key 'quality'"):
        list(texts(tmp_path / "a.jsonl", band=Band("quality")))
    (tmp_path / "b.jsonl").write_text('{"text": "a", "score": "0.7"}\n{"text": "b", "score": true}\n')
    with pytest.raises(WerpError, match="no line has a key 'score' with a number"):
        list(texts(tmp_path / "b.jsonl", band=Band("score")))
    pq.write_table(pa.table({"text": ["a"], "score": ["0.7"]}), tmp_path / "b.parquet")
    with pytest.raises(WerpError, match="column `score` is string, numbers are needed"):
        list(texts(tmp_path / "b.parquet", band=Band("score")))
    with pytest.raises(WerpError, match="no document with 5 <= score < inf"):
        tokenize(
            tmp_path, tmp_path / "y", vocab_size=257, files=[tmp_path / "a.jsonl"], band=Band("score", 5)
        )
    metadata = tokenize(
        tmp_path, tmp_path / "out", vocab_size=257, files=[tmp_path / "a.jsonl"], band=Band("score", 0.9)
    )
    assert (metadata.documents, metadata.band) == (9, "0.9 <= score < inf")


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"text": "fine"}\n' * 999)
    (tmp_path / "a.jsonl.gz").write_bytes(packed[:-12])
    with pytest.raises(WerpError, match=r"a\.jsonl\.gz: can't be read"):
        list(texts(tmp_path / "a.jsonl.gz"))


@pytest.mark.parametrize("name", ["a.jsonl.zst", "a.txt.zst"])
def test_a_zstd_file_cut_between_two_lines_is_refused(tmp_path: Path, name: str) -> None:
    """Its lines before the cut are whole: nothing else would tell."""
    packer, path = zstandard.ZstdCompressor().compressobj(), tmp_path / name
    begun = packer.compress(b'{"text": "a"}\n' * 3) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    path.write_bytes(begun)
    with pytest.raises(WerpError, match=rf"{name}: can't be read: .*ended before"):
        list(texts(path))
    path.write_bytes(begun + packer.flush())
    assert list(texts(path))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.xz", "a.jsonl.zst", "a.parquet", "a.arrow"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    row = b'{"text": "fine"}\n' * 999
    packed = {
        "a.jsonl.gz": gzip.compress(row),
        "a.jsonl.xz": lzma.compress(row),
        "a.jsonl.zst": zstandard.ZstdCompressor().compress(row),
    }.get(name, bytes(99))
    for damaged in (bytes(packed[:20]) + bytes([255] * 30) + bytes(packed[50:]), b"none at all" * 9):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(WerpError, match=rf"{name}: can't be read"):
            list(texts(tmp_path / name))


def test_the_exports_hold_the_same_tokens(tmp_path: Path) -> None:
    """Read back by the published layouts: Megatron-LM's index header, OLMo-core's raw array."""
    metadata = tokenize(write_run(tmp_path / "run", TEXTS), tmp_path / "out", vocab_size=300)
    tokens, offsets = column(tmp_path / "out/tokens.arrow"), column(tmp_path / "out/offsets.arrow")
    export_megatron(tmp_path / "out", tmp_path / "m/text")
    index = (tmp_path / "m/text.idx").read_bytes()
    assert index[:9] == b"MMIDIDX\0\0"
    version, code, sequences, documents = struct.unpack_from("<QBQQ", index, 9)
    assert (version, code, sequences, documents) == (1, 8, metadata.documents, metadata.documents + 1)
    at = 9 + struct.calcsize("<QBQQ")
    lengths = np.frombuffer(index, "<i4", sequences, at)
    pointers = np.frombuffer(index, "<i8", sequences, at + 4 * sequences)
    ends = np.frombuffer(index, "<i8", documents, at + 12 * sequences)
    assert len(index) == at + 12 * sequences + 8 * documents
    assert ends.tolist() == list(range(documents))
    data = (tmp_path / "m/text.bin").read_bytes()
    for i in range(sequences):
        ids = np.frombuffer(data, "<u2", lengths[i], pointers[i])
        assert ids.tolist() == tokens[offsets[i] : offsets[i + 1]].tolist()
    export_olmo(tmp_path / "out", tmp_path / "o/text.npy")
    assert np.memmap(tmp_path / "o/text.npy", dtype=np.uint16, mode="r").tolist() == tokens.tolist()
    with pytest.raises(WerpError, match=r"tokens\.arrow: not a token table"):
        export_olmo(tmp_path / "run", tmp_path / "x.npy")


def test_a_job_shows_files_and_tokens_while_it_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In a log: a line now and then. The counts are the tasks' own, here of Spark's workers."""
    run = write_run(tmp_path / "run", TEXTS, files=3)
    seen: list[list[list[int]]] = []

    def runner(tasks: Sequence[Task]) -> None:
        for number, task in enumerate(tasks):
            encode_task(task)
            folder = Path(task[4]).parent / "progress"
            seen.append([json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))])
            assert len(seen[-1]) == number + 1
        deadline = time.monotonic() + 10
        while "3 of 3 files" not in shown_so_far() and time.monotonic() < deadline:
            time.sleep(0.05)

    said = ""

    def shown_so_far() -> str:
        nonlocal said
        said += capfd.readouterr().err
        return said

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("werp.watch.LINE_SECONDS", 0.05)
        metadata = tokenize(run, tmp_path / "out", vocab_size=300, runner=runner)
    assert f"100 %, 3 of 3 files, 150 documents, {metadata.tokens:,} tokens" in said
    sizes = sum(file.stat().st_size for file in (run / "shards").iterdir())
    assert [sum(column) for column in zip(*seen[-1], strict=True)] == [sizes, 150, metadata.tokens, 3]
    assert not (tmp_path / "out/progress").exists()


TEXTS_THAT_SPELL = [
    f"before {END} after",
    END,
    f"{END}{END} x {END}",
    "<s> a </s> [UNK]",
    "Naïve  \u00c5ngstr\u00f6m e\u0301 \ufb01ne \u2014 你好 🙂",
    "  blanks before and behind  ",
    "plain words of the sun",
]


@pytest.mark.parametrize("name", KINDS)
def test_a_spelled_end_token_ends_no_document_in_any_kind_of_tokenizer(name: str, tmp_path: Path) -> None:
    """Unigram, WordLevel, WordPiece and BPE with `ignore_merges` look whole pieces up; and what a normalizer
    leaves is not what the text weighs.
    """
    path, file = tmp_path / "tokenizer.json", tmp_path / "a.jsonl"
    KINDS[name].save(str(path))
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS_THAT_SPELL))
    metadata = tokenize(None, tmp_path / "out", path, files=[file])
    tokens = column(tmp_path / "out/tokens.arrow")
    offsets = pa.ipc.open_file(pa.memory_map(str(tmp_path / "out/offsets.arrow"))).get_batch(0)
    assert (tokens == metadata.end_token).sum() == metadata.documents == len(TEXTS_THAT_SPELL)
    assert (tokens[offsets["offset"].to_numpy()[1:] - 1] == metadata.end_token).all()
    sizes = [len(text.encode()) for text in TEXTS_THAT_SPELL]
    assert np.diff(offsets["byte"].to_numpy()).tolist() == sizes
    assert metadata.text_bytes == sum(sizes)
    # Where nothing is spelled the library's own ids are written.
    start, end = offsets["offset"].to_numpy()[-2:]
    alone = KINDS[name].encode(TEXTS_THAT_SPELL[-1], add_special_tokens=False).ids
    assert tokens[start : end - 1].tolist() == alone
    assert (tmp_path / "out/tokenizer.json").read_bytes() == path.read_bytes()
    # The held-out bytes are the texts', shared out over their tokens.
    held = Tokens.open(tmp_path / "out")
    whole = held.batch(np.array([0]), len(tokens) - 1)
    found = held.bytes_of(whole.targets, whole.documents, token_bytes(Tokenizer.from_file(str(path))))
    weights = np.maximum(token_bytes(Tokenizer.from_file(str(path))), 1)
    weights[metadata.end_token] = 0
    lost = 0.0  # a document's first token is given
    for (begin, end), size in zip(pairwise(offsets["offset"].to_numpy()), sizes, strict=True):
        lost += size * weights[tokens[begin]] / max(weights[tokens[begin:end]].sum(), 1)
    assert found.sum().item() == pytest.approx(sum(sizes) - lost)
    joined = join_documents(whole)  # as one document only the very first token is given
    found = held.bytes_of(joined.targets, whole.documents, token_bytes(Tokenizer.from_file(str(path))))
    given = sizes[0] * weights[tokens[0]] / weights[tokens[: offsets["offset"][1].as_py()]].sum()
    assert found.sum().item() == pytest.approx(sum(sizes) - given)


def test_an_unknown_token_that_is_the_end_token_is_refused_where_it_would_end_a_document(
    tmp_path: Path,
) -> None:
    words = Tokenizer(models.WordLevel({END: 0, "sun": 1}, unk_token=END))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "a.jsonl").write_text('{"text": "sun sun"}\n')
    done = tokenize(None, tmp_path / "out", tmp_path / "tokenizer.json", files=[tmp_path / "a.jsonl"])
    assert done.tokens == 3
    (tmp_path / "a.jsonl").write_text('{"text": "sun moon"}\n')
    with pytest.raises(WerpError, match=r"a\.jsonl: the tokenizer turns what it doesn't know into <"):
        tokenize(None, tmp_path / "more", tmp_path / "tokenizer.json", files=[tmp_path / "a.jsonl"])


PACKERS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress,
           ".zst": zstandard.ZstdCompressor().compress}  # fmt: skip
MIXED = ["one", "two 你好", "", None, "three\nlines"]


def test_what_the_refinery_and_classifiers_read_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the command: every kind of rows, a saved data set, its splits, and a cloned one."""
    folder = tmp_path / "in"
    (folder / "saved/train").mkdir(parents=True)
    (folder / ".git").mkdir()
    lines = "".join(json.dumps({"text": text}) + "\n" for text in MIXED).encode()
    for end, pack in PACKERS.items():
        for name in ("a.jsonl", "b.ndjson"):
            (folder / f"{name}{end}").write_bytes(pack(lines))
    (folder / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + lines.replace(b"\n", b"\r\n"))
    kinds = (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary())
    for number, kind in enumerate(kinds):
        values = [text and text.encode() for text in MIXED] if kind == pa.binary() else MIXED
        table = pa.table({"text": pa.array(values, kind)})
        pq.write_table(table, folder / f"{number}.parquet")
        for name, new in (("file", pa.ipc.new_file), ("stream", pa.ipc.new_stream)):
            with new(str(folder / f"{number}-{name}.arrow"), table.schema) as writer:
                writer.write_table(table)
    for name in ("data-00000-of-00001.arrow", "cache-0a1b2c.arrow"):  # the second: rows of the first again
        (folder / "saved/train" / name).write_bytes((folder / "0-stream.arrow").read_bytes())
    (folder / "saved/train/state.json").write_text("{}")
    (folder / "saved/train/dataset_info.json").write_text("{}")
    (folder / ".git/x.jsonl").write_text("no rows")
    (folder / "README.md").write_text("no rows")
    files = input_files([str(folder)])
    assert len(files) == 2 * len(PACKERS) + 1 + 3 * len(kinds) + 1
    expected = [text for text in MIXED if text]
    words = ["--vocab-size", "300", "--no-spark", "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["werp.tokens", "--input", str(folder), *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    tokens, offsets = column(tmp_path / "out/tokens.arrow"), column(tmp_path / "out/offsets.arrow")
    tokenizer = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    found = [tokenizer.decode(tokens[a : b - 1].tolist()) for a, b in pairwise(offsets.tolist())]
    assert found == expected * len(files)
    for file in files:
        kind: Any = "jsonl" if "json" in file.name else "parquet"
        assert [row.text for row in read_source(Source(kind=kind, path=str(file)))] == expected
        rows = read_rows(
            file, {**dict.fromkeys(("url", "date", "crawl"), ()), "text": ("text",)}, max_row_bytes=99
        )
        assert [row.text for row in rows if isinstance(row, Given) and row.text] == expected
    assert [f.name for f in list_inputs([str(folder)])] == sorted(
        file.relative_to(folder).as_posix() for file in files
    )


def test_tokens_are_replaced_by_force_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("some words")
    words = ["werp.tokens", "--no-spark", "--vocab-size", "257", "--input", str(tmp_path / "a.txt")]
    words += ["--output", str(tmp_path / "out")]

    def ends(*more: str) -> int:
        monkeypatch.setattr(sys, "argv", [*words, *more])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    assert ends() == 0
    before = (tmp_path / "out/tokens.arrow").read_bytes()
    (tmp_path / "a.txt").write_text("other words")
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert ends() == 2
    assert "holds tokens; --force replaces them" in said.getvalue()
    assert (tmp_path / "out/tokens.arrow").read_bytes() == before
    assert ends("--force") == 0
    assert (tmp_path / "out/tokens.arrow").read_bytes() != before


def test_merges_that_make_the_end_token_end_no_document(tmp_path: Path) -> None:
    letters = sorted(set(END) | set("a "))
    merges, made = [], END[0]
    for letter in END[1:]:
        merges.append((made, letter))
        made += letter
    entries = [*letters, *("".join(END[: n + 2]) for n in range(len(merges)))]
    words = Tokenizer(models.BPE({entry: i for i, entry in enumerate(entries)}, merges))
    words.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": f"a {END} a"}))
    done = tokenize(None, tmp_path / "out", tmp_path / "tokenizer.json", files=[tmp_path / "a.jsonl"])
    ids = column(tmp_path / "out/tokens.arrow").tolist()
    assert ids.count(done.end_token) == 1
    assert "".join(entries[i] for i in ids[:-1]) == f"a {END} a"
