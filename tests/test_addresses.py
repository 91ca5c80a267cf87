"""No flag and no key that is a path takes an address it can't serve: it is refused before any work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import jobs.refine
import jobs.train_classifier
import werp.cli
import werp.sample.__main__ as sample
from models.config import read_config
from models.errors import ModelError
from tests.job import ROOT, environment
from werp.command import run
from werp.decontaminate.items import find_benchmarks
from werp.errors import WerpError
from werp.language import cache_dir
from werp.local import refuse_remote

REFINE, TRAIN = ("refine", jobs.refine.main), ("train_classifier", jobs.train_classifier.main)
WERP, SAMPLE = ("werp", werp.cli.app), ("werp.sample", sample.main)
#: (command, words with one address, what the message begins with)
ADDRESSES = [
    (REFINE, "--input crawl --output s3://bucket/x", "--output s3://bucket/x: s3://"),
    (REFINE, "--input crawl --output S3A://bucket/x", "--output S3A://bucket/x: S3A://"),
    (REFINE, "--input crawl --output s3:bucket/x", "--output s3://bucket/x"),
    (REFINE, "--input crawl --output file:///lake/x", "--output file:///lake/x: file:// is not read"),
    (REFINE, "--input crawl --output ~/x", "--output ~/x: no shell"),
    (REFINE, "--input ~other/crawl --output out", "--input ~other/crawl: no shell"),
    (REFINE, "--input s3://bucket/x.warc.gz --output out", "--input s3://bucket/x.warc.gz"),
    (REFINE, "--input hdfs:/crawl --output out", "--input hdfs://crawl"),
    (REFINE, "--input @https://data.example/warc.paths.gz --output out", "--input https://data.example/warc.paths.gz"),
    (REFINE, "--input crawl --output out --documents gs://b/run", "--documents gs://b/run"),
    (REFINE, "--input crawl --output out --earlier abfss://c@a.dfs.core.windows.net/run", "--earlier abfss://"),
    (REFINE, "--input crawl --output out --root s3://commoncrawl", "--root s3://commoncrawl"),
    (REFINE, "--input crawl --output simplecache::s3://b/x", "--output simplecache::s3://b/x"),
    (REFINE, "--input crawl --output out --recipe s3://b/mine.yaml", "--recipe s3://b/mine.yaml"),
    (TRAIN, "--preset dclm --output dbfs:/models/x", "--output dbfs://models/x"),
    (TRAIN, "--spec https://x.example/mine.yaml --output out", "--spec https://x.example/mine.yaml"),
    (WERP, "report --run s3://bucket/run", "--run s3://bucket/run"),
    (WERP, "why https://page.example/ --run s3://bucket/run", "--run s3://bucket/run"),
    (WERP, "what-if gopher_quality.min_words=3 --run gs://bucket/run", "--run gs://bucket/run"),
    (WERP, "diff out/a s3://bucket/b", "RUN_B s3://bucket/b"),
    (WERP, "recipe s3://bucket/mine.yaml", "--recipe s3://bucket/mine.yaml"),
    (WERP, "tokenize --run s3://b/run --output out", "--run s3://b/run"),
    (WERP, "tokenize --run out --output s3://b/tokens", "--output s3://b/tokens"),
    (WERP, "tokenize --input s3://b/x.jsonl --output out", "--input s3://b/x.jsonl"),
    (WERP, "tokenize --run out --output t --tokenizer hf://b/tokenizer.json", "--tokenizer hf://"),
    (WERP, "tokenize --run out --output t --megatron s3://b/x", "--megatron s3://b/x"),
    (WERP, "tokenize --run out --output t --olmo s3://b/x.npy", "--olmo s3://b/x.npy"),
    (SAMPLE, "s3://bucket/sample", "DIRECTORY s3://bucket/sample"),
]  # fmt: skip
#: Keys of a recipe that are paths.
KEYS = [
    "url.blocked_domains", "url.blocked_words", "c4.bad_words", "url_prefilter.blocked_domains",
    "language.model", "decontaminate.benchmarks", "quality.models",
]  # fmt: skip
RECIPE = """
name: addresses
prefilters: [{rule: url_prefilter.v1}]
rules: [{rule: language.v1}, {rule: url.v1}, {rule: c4.v1}, {rule: decontaminate.v1, action: report}]
quality: {models: [{name: dclm, model: dclm}]}
"""


@pytest.mark.parametrize(("command", "words", "says"), ADDRESSES)
def test_a_path_is_no_address(
    command: tuple[str, object], words: str, says: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "x.warc").write_bytes(b"")
    monkeypatch.setattr("sys.argv", [command[0], *words.split()])
    with pytest.raises(SystemExit) as caught:
        run(command[0], command[1])  # type: ignore[arg-type]
    said = capsys.readouterr().err
    told = any(line.startswith(f"{command[0]}: {says}") for line in said.splitlines())
    assert (caught.value.code, told) == (2, True), said
    assert "give the path" in said or "copy the files" in said
    assert os.listdir(tmp_path) == ["crawl"]


@pytest.mark.usefixtures("werp_data")  # the recipe's benchmarks lie there
@pytest.mark.parametrize("key", KEYS)
def test_nor_is_a_key_of_a_recipe(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.warc").write_bytes(b"")
    (tmp_path / "r.yaml").write_text(RECIPE)
    value = "s3://bucket/x" if key != "quality.models" else "[{name: x, model: 's3://bucket/x'}]"
    words = ["--recipe", tmp_path / "r.yaml", "--input", tmp_path / "x.warc", "--output", tmp_path / "out"]
    monkeypatch.setattr("sys.argv", ["refine", *map(str, words), "--set", f"{key}={value}"])
    with pytest.raises(SystemExit):
        run(*REFINE)
    said = capsys.readouterr().err
    assert key.partition(".")[2] in said or key.partition(".")[0] in said
    assert "s3://bucket/x: s3:// can't be read" in said
    assert not (tmp_path / "out").exists()


def test_nor_is_a_path_of_the_trainer(tmp_path: Path) -> None:
    for words, says in (
        ("--output s3://b/x --tokens t", "--output: 's3://b/x'.*s3:// can't be read"),
        ("--output out --tokens gs:/b/x", "--tokens: 'gs:/b/x'.*gs:// can't be read"),
        ("--output out --sources [{tokens:\xa0's3://b/x'}]", "--sources 0 tokens: 's3://b/x'.*s3://"),
        ("--output file:///x --tokens t", "--output: .*give the path alone: /x"),
    ):
        with pytest.raises(ModelError, match=says):
            read_config(words.replace("\xa0", " ").split(" ", 3) if "sources" in words else words.split())


def test_nor_of_the_evaluator_and_the_programs_beside_it(tmp_path: Path) -> None:
    """One process for several, since each takes seconds to import torch."""
    program = (
        "import sys, runpy\n"
        "for line in sys.stdin.read().splitlines():\n"
        "    module, *sys.argv[1:] = line.split()\n"
        "    try:\n"
        "        runpy.run_module(module, run_name='__main__', alter_sys=True)\n"
        "    except SystemExit as end:\n"
        "        print('ended', module, end.code)\n"
    )
    lines = [
        "eval_harness run --model m --output s3://b/scores.json",
        "eval_harness run --model s3://b/m --output scores.json",
        "eval_harness run --model m --output scores.json --data gs://b/benchmarks",
        "eval_harness compare s3://b/a.json --against b.json",
        "eval_harness compare a.json --against b.json --output s3://b/c.json",
        "eval_harness probe --output s3://b/p.json",
        "eval_harness decide s3://b/runs",
        "models.export --checkpoint c --output s3://b/x",
        "models.export --checkpoint s3://b/c --output x",
    ]
    done = subprocess.run(
        [sys.executable, "-c", program], input="\n".join(lines), capture_output=True, text=True, check=True,
        cwd=tmp_path, env=environment() | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    ends = [line for line in done.stdout.splitlines() if line.startswith("ended")]
    assert len(ends) == len(lines), done.stdout + done.stderr
    for end in ends[:7]:
        assert "can't be read or written; name a local or shared path" in end, end
    assert ends[7:] == ["ended models.export 2"] * 2
    assert done.stderr.count("s3:// can't be read or written") == 2
    assert os.listdir(tmp_path) == []


def test_paths_are_paths() -> None:
    refuse_remote("--output", "./s3:/x")
    for path in (
        "out/x",
        "c:/x",
        "crawl-12:30.warc.gz",
        "a:b/c",
        "/data/s3/x",
        "x.warc",
        "warc:2026/x",
    ):
        refuse_remote("--output", path)
        refuse_remote("--output", Path(path))


def test_variables_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WERP_CACHE", "s3://b/cache")
    monkeypatch.setenv("WERP_BENCHMARKS", "s3://b/benchmarks")
    for name, act in (("WERP_CACHE", cache_dir), ("WERP_BENCHMARKS", lambda: find_benchmarks(None))):
        with pytest.raises(WerpError, match=f"{name} s3://b/"):
            act()
