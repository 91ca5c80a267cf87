"""Speed of two peers' MinHash, in an interpreter of their own: `PYTHON peers.py PASSAGES.json`.

Needs rensa, datatrove with spacy, datasketch and xxhash, and nothing of this package; `werp.dedup.bench`
runs it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def best(work: Callable[[], Any], rounds: int) -> float:
    """CPU seconds of the fastest of some rounds of one thread."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def main(path: str) -> None:
    """Print documents per second of each peer as JSON."""
    os.environ["RAYON_NUM_THREADS"] = "1"  # rensa's; the others have one thread
    import numpy as np  # noqa: PLC0415
    import rensa  # noqa: PLC0415
    import xxhash  # noqa: PLC0415
    from datasketch import MinHash  # noqa: PLC0415
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature  # noqa: PLC0415
    from datatrove.utils.hashing import HashConfig  # noqa: PLC0415

    given = json.loads(Path(path).read_text("utf-8"))
    sets, permutations = (
        [[s.encode() for s in document] for document in given["shingles"]],
        given["permutations"],
    )
    flat = np.array([xxhash.xxh3_64_intdigest(s) for document in sets for s in document], np.uint64)
    offsets = np.arange(0, len(flat) + 1, len(sets[0]), dtype=np.uint64).tolist()
    few = sets[:300]
    rows = {
        "datasketch MinHash.bulk, bytes": len(few)
        / best(
            lambda: MinHash.bulk(
                few, num_perm=permutations, seed=1, scheme="affine64", hashfunc=xxhash.xxh3_64_intdigest
            ),
            3,
        ),
        "rensa, bytes": len(sets)
        / best(lambda: rensa.RMinHash.digest_matrix_from_token_byte_sets(sets, permutations, 1), 3),
        "rensa, hashes": len(sets)
        / best(
            lambda: rensa.RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets, permutations, 1), 3
        ),
    }
    step = MinhashDedupSignature(
        "/tmp/unused", MinhashConfig(hash_config=HashConfig(precision=64, hash_fc="xxhash"))
    )
    texts = given["texts"][:1000]
    step.get_signature(step.get_shingles(texts[0]))  # loads its tokenizer

    def signatures() -> None:
        for text in texts:
            step.get_signature(step.get_shingles(text))

    rows["datatrove signature step, raw text"] = len(texts) / best(signatures, 1)
    print(json.dumps(rows))


if __name__ == "__main__":
    main(sys.argv[1])
