"""Every table of a run directory, its schema written down once.

`records` is what reading and extraction learned of each archive record, before any
verdict; `documents` the extracted text; `signals` (its columns follow the recipe) the
measurements; `dedup` copies and repeated passages; `ledger` the verdict on every record;
`shards` the kept text.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = "3"

#: One row per record or damaged region; `outcome` is null where the record became a document. `truncated` is
#: the record's `WARC-Truncated` (`length`, `time`, `disconnect`, `unspecified`): its crawler cut it short.
RECORDS = pa.schema(
    [
        ("warc_file", pa.string()),
        ("warc_offset", pa.int64()),
        ("url", pa.string()),
        ("record_type", pa.string()),
        ("date", pa.string()),
        ("crawl", pa.string()),
        ("http_status", pa.int32()),
        ("mime", pa.string()),
        ("payload_digest", pa.string()),
        ("id", pa.string()),
        ("outcome", pa.string()),
        ("stage", pa.string()),
        ("rule", pa.string()),
        ("value", pa.string()),
        ("threshold", pa.string()),
        ("casualty", pa.string()),
        ("truncated", pa.string()),
    ],
    metadata={"werp.table": "records", "werp.schema_version": SCHEMA_VERSION},
)

#: One edit (`werp.edits.Span`): characters [start, end) of `documents.text`, taken out or replaced by a rule.
EDIT = pa.struct(
    [("start", pa.int64()), ("end", pa.int64()), ("rule", pa.string()), ("replacement", pa.string())]
)

#: Why rules gave a page no result (`werp.clock.Failure`); null for all others.
FAILURE = pa.struct([(name, pa.string()) for name in ("stage", "rule", "value", "threshold")])

#: `text` is as extracted, before any edit; `removed` holds the edits of line rules and masking, in the order
#: in which they were made (see `werp.edits`); `text_sha256` is of the text after them, which shards carry.
#: `failure` where a line rule or masking failed: there are no edits then, and no signals.
DOCUMENTS = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("payload_digest", pa.string()),
        ("extractor", pa.string()),
        ("charset", pa.string()),
        ("truncated", pa.string()),
        ("text", pa.string()),
        ("text_sha256", pa.string()),
        ("removed", pa.list_(EDIT)),
        ("failure", FAILURE),
    ],
    metadata={"werp.table": "documents", "werp.schema_version": SCHEMA_VERSION},
)

#: `text_bytes`: UTF-8 bytes of the document's text as a shard would carry it; null where none was extracted.
LEDGER = pa.schema(
    [
        ("warc_file", pa.string()),
        ("warc_offset", pa.int64()),
        ("url", pa.string()),
        ("record_type", pa.string()),
        ("outcome", pa.string()),
        ("stage", pa.string()),
        ("rule", pa.string()),
        ("value", pa.string()),
        ("threshold", pa.string()),
        ("survivor_id", pa.string()),
        ("id", pa.string()),
        ("casualty", pa.string()),
        ("truncated", pa.string()),
        ("text_bytes", pa.int64()),
    ],
    metadata={"werp.table": "ledger", "werp.schema_version": SCHEMA_VERSION},
)

#: What deduplication found: a row for each document and stage of the recipe that says something of it.
#: Members of a cluster have a row whether they stay or not, as has a document with removed passages.
#: `rule` is the stage's, and its key where it has several; `cluster_id` the id of the cluster's first member
#: by (input name, offset); `similarity` to the survivor, or the share seen before; `repeat_weight` how often
#: FineWeb2 would repeat the survivor, 0 for others; `removed` edits of `documents.text`, to be listed after
#: `documents.removed`.
DEDUP = pa.schema(
    [
        ("id", pa.string()),
        ("rule", pa.string()),
        ("dropped", pa.bool_()),
        ("survivor_id", pa.string()),
        ("cluster_id", pa.string()),
        ("cluster_size", pa.int64()),
        ("similarity", pa.float64()),
        ("threshold", pa.float64()),
        ("repeat_weight", pa.int32()),
        ("removed", pa.list_(EDIT)),
    ],
    metadata={"werp.table": "dedup", "werp.schema_version": SCHEMA_VERSION},
)

#: What a run's deduplication changes for documents of earlier runs: `kept` and what follows it is how each
#: stands now, `was_kept` how it stood; `run` is the key of the run that holds it.
RETRACTIONS = pa.schema(
    [
        ("run", pa.string()),
        ("warc_file", pa.string()),
        ("id", pa.string()),
        ("was_kept", pa.bool_()),
        ("kept", pa.bool_()),
        ("rule", pa.string()),
        ("survivor_id", pa.string()),
        ("similarity", pa.float64()),
        ("removed", pa.list_(EDIT)),
    ],
    metadata={"werp.table": "retractions", "werp.schema_version": SCHEMA_VERSION},
)

SHARD = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("language_score", pa.float64()),
        ("crawl", pa.string()),
        ("warc_file", pa.string()),
        ("warc_offset", pa.int64()),
        ("date", pa.string()),
    ],
    metadata={"werp.table": "shards", "werp.schema_version": SCHEMA_VERSION},
)

KEPT, DROPPED, FAILED = "kept", "dropped", "failed"
