"""What tokenizing costs beyond the tokenizer: the library's batch encoding beside `encode_file`, in one run.

    python -m werp.tokens.bench --input books.jsonl.xz --tokenizer tokenizer.json

The library gets the same texts from memory, `encode_file` from disk; the rounds alternate. Prints medians
as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from werp.tokens.encode import encode_file
from werp.tokens.folder import Part
from werp.tokens.plain import plain
from werp.tokens.sources import BATCH, texts


def measure(file: Path, tokenizer_file: Path, rounds: int, characters: int) -> dict[str, Any]:
    """Tokens a second of both, on the first `characters` of a file."""
    tokenizer = plain(Tokenizer.from_file(str(tokenizer_file)))
    documents: list[str] = []
    for batch in texts(file):
        documents += batch
        if sum(map(len, documents)) >= characters:
            break
    library, ours, count = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.jsonl"
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents), "utf-8")
        part = Part(Path(folder) / "ids", Path(folder) / "lengths")
        for _ in range(rounds):
            begin = time.perf_counter()
            count = 0
            for i in range(0, len(documents), BATCH):
                encodings = tokenizer.encode_batch_fast(documents[i : i + BATCH], add_special_tokens=False)
                count += sum(len(encoding) for encoding in encodings)
            library.append(count / (time.perf_counter() - begin))
            begin = time.perf_counter()
            encode_file(file, "text", tokenizer, part)
            ours.append(count / (time.perf_counter() - begin))
    whole, alone = statistics.median(ours), statistics.median(library)
    return {
        "documents": len(documents), "tokens": count, "rounds": rounds,
        "library_tokens_per_second": round(alone), "shards_tokens_per_second": round(whole),
        "ratio": round(whole / alone, 3),
    }  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--characters", type=int, default=5_000_000)
    a = parser.parse_args()
    print(json.dumps(measure(a.input, a.tokenizer, a.rounds, a.characters), indent=2))


if __name__ == "__main__":
    main()
