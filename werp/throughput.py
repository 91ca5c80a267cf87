"""Speed of the whole job beside datatrove's FineWeb pipeline, on the same pages and one core.

    make peers
    python -m werp.throughput $WERP_DATA/warc-pages --peer .peers/datatrove/bin/python --model lid.176.ftz

`--pages` pages, spread evenly over the archives, are written once, and five times with the address and one
word of each copy changed. Each pipeline runs on both, without deduplication; its rate is the slope, 4 x pages
over the difference of the two CPU times (of all its processes), so that start-up counts for neither. Rows:
datatrove; ours with the same extraction options and no prefilter (a); ours with the prefilters of recipe
`fineweb` (b). Prints a JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

_ROOT = Path(__file__).parent.parent
_COPIES = 5
_PR_SET_CHILD_SUBREAPER = 36

#: FineWeb's pipeline as datatrove's example has it, English named, the language model a local file.
_PEER = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
    GopherRepetitionFilter, LanguageFilter, URLFilter)
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
from datatrove.utils import lid
from fasttext.FastText import _FastText
from tldextract import TLDExtract
folder, output, model = sys.argv[1:]
lid.cached_asset_path_or_download = lambda *_, **__: model
class Model:  # fasttext's own wrapper raises with NumPy 2
    def __init__(self, path): self.model = _FastText(path)
    def predict(self, text, k):
        found = self.model.f.predict(text + "\\n", k, 0.0, "strict")
        import numpy
        return [label for _, label in found], numpy.array([score for score, _ in found])
lid.FastTextLID.model = property(lambda self: self.__dict__.setdefault("own", Model(model)))
url = URLFilter()
url.tldextractor = TLDExtract(suffix_list_urls=())
LocalPipelineExecutor(pipeline=[
    WarcReader(folder), url, Trafilatura(favour_precision=True, timeout=10), LanguageFilter(languages=["en"]),
    GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False),
    FineWebQualityFilter(), JsonlWriter(output)], tasks=1, workers=1, logging_dir=output + "/logs").run()
"""


def pages(folder: Path, most: int) -> list[tuple[str, str, bytes]]:
    """(address, date, HTTP message) of so many responses in the archives of a folder, evenly spread."""
    out: list[tuple[str, str, bytes]] = []
    for path in sorted(folder.glob("*.warc.gz")):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, no_record_parse=True):
                if record.rec_type == "response":
                    headers = record.rec_headers
                    url, date = headers.get_header("WARC-Target-URI"), headers.get_header("WARC-Date")
                    out.append((url, date, record.content_stream().read()))
    return [out[i * len(out) // most] for i in range(min(most, len(out)))]


def copies(originals: list[tuple[str, str, bytes]], times: int) -> Iterator[tuple[str, str, bytes]]:
    """Each page `times` times; all but the first with another address and one word more in the body."""
    for copy in range(times):
        for url, date, message in originals:
            if copy:
                address = f"{url}{'&' if '?' in url else '?'}copy={copy}"
                yield address, date, message.replace(b"</p>", f" again{copy}</p>".encode(), 1)
            else:
                yield url, date, message


def write_archive(path: Path, records: Iterator[tuple[str, str, bytes]]) -> None:
    """A WARC of these responses, one gzip member a record."""
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for url, date, message in records:
            head, _, body = message.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            protocol, _, status = lines[0].partition(" ")
            fields = [tuple(line.split(": ", 1)) for line in lines[1:] if ": " in line]
            fields = [(name, value) for name, value in fields if name.lower() != "content-length"]
            http = StatusAndHeaders(status, fields, protocol)
            writer.write_record(
                writer.create_warc_record(
                    url, "response", payload=io.BytesIO(body), http_headers=http,
                    warc_headers_dict={"WARC-Date": date, "WARC-Identified-Payload-Type": "text/html"},
                )
            )  # fmt: skip


def timed(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a command and all that it starts. Exits with its last words where it fails."""
    # Whoever outlives its parent, as Spark's Python workers do, comes to this process and is waited for.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT)
    wall = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{command[:3]} failed:\n{done.stderr[-3000:]}")
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of *.warc.gz")
    parser.add_argument("--peer", required=True, help="python of the environment that `make peers` made")
    parser.add_argument("--model", required=True, help="lid.176.ftz")
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--rows", nargs="+", default=["datatrove", "a", "b"], choices=["datatrove", "a", "b"])
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core for all that follows

    originals = pages(options.folder, options.pages)
    result: dict[str, Any] = {
        "pages": len(originals),
        "bytes": sum(len(message) for _, _, message in originals),
    }
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for times in (1, _COPIES):
            write_archive(work / f"x{times}" / "pages.warc.gz", copies(originals, times))
        for row in options.rows:
            cpu, wall, kept = {}, {}, {}
            for times in (1, _COPIES):
                source, output = work / f"x{times}", work / f"{row}-{times}"
                if row == "datatrove":
                    command = [options.peer, "-c", _PEER, str(source), str(output), options.model]
                else:
                    command = [
                        sys.executable, "jobs/refine.py", "--recipe", "fineweb", "--input", str(source),
                        "--output", str(output), "--workers", "1", "--set", "dedup=[]",
                    ]  # fmt: skip
                    command += ["--set", "prefilters=[]"] if row == "a" else []
                cpu[times], wall[times] = timed(command)
                kept[times] = _kept(row, output)
            slope = (cpu[_COPIES] - cpu[1]) / ((_COPIES - 1) * len(originals))
            result[row] = {
                "cpu_seconds": [round(cpu[1], 2), round(cpu[_COPIES], 2)],
                "wall_seconds": [round(wall[1], 2), round(wall[_COPIES], 2)],
                "cpu_ms_per_page": round(1000 * slope, 2),
                "pages_per_cpu_second": round(1 / slope, 2),
                "kept": [kept[1], kept[_COPIES]],
            }
    for row in ("a", "b"):
        if row in result and "datatrove" in result:
            ratio = result["datatrove"]["cpu_ms_per_page"] / result[row]["cpu_ms_per_page"]
            result[row]["times_datatrove"] = round(ratio, 2)
    print(json.dumps(result, indent=2))


def _kept(row: str, output: Path) -> int:
    if row != "datatrove":
        return int(json.loads((output / "run.json").read_text("utf-8"))["records"]["kept"])
    import gzip  # noqa: PLC0415

    return sum(len(gzip.open(path).read().splitlines()) for path in output.glob("*.jsonl.gz"))


if __name__ == "__main__":
    main()
