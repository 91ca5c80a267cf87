"""The peer's side of `werp.decontaminate.bench`, under a Python that has datatrove; imports nothing of ours.

Its index holds 12-grams of answers, of question and answer together (its default), and of questions.
"""

import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter, NGramsDecontIndexer

# lighteval only fetches its own tasks; hashing items needs none of it.
NGramsDecontIndexer._requires_dependencies = []
task = json.loads(Path(sys.argv[1]).read_text("utf-8"))
config = NGramsDecontConfig(find_query_ngrams=True)
with tempfile.TemporaryDirectory() as folder:
    indexer = NGramsDecontIndexer(folder, config=config)
    hashes: dict[str, set[int]] = {}
    for item in task["items"]:
        own = hashes.setdefault(item["task"], set())
        own.update(indexer.compute_hashes(item["answer"] or item["question"], item["question"]))
    for name, values in hashes.items():
        np.array(list(values), config.hash_config.np_descr).tofile(Path(folder) / f"{name}.index.hashes")
    documents = [Document(text=text, id=str(k)) for k, text in enumerate(task["texts"])]
    peer = NGramsDecontFilter(folder, config=config)
    peer.filter(documents[0])
    started = time.perf_counter()
    hits = sum(peer.filter(document) is not True for document in documents)
    seconds = time.perf_counter() - started
print(
    json.dumps(
        {
            "version": version("datatrove"),
            "per_second": round(len(documents) / seconds, 1),
            "hits": hits,
            "hashes": sum(map(len, hashes.values())),
        }
    )
)
