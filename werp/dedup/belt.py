"""The seat-belt: a run whose deduplication looks wrong stops before it is committed, and shows why.

What it guards against has happened: false links and transitive closure joined tens of thousands of unrelated
books, and a source lost all but a few of its documents. A person who has looked can accept an alarm by name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.dedup.alarms import CLUSTER_SIZE, SOURCE_LOSS
from werp.dedup.context import Context, batches_of, over_units
from werp.dedup.limits import Limits
from werp.dedup.text import edited_texts
from werp.dedup.verify import jaccard
from werp.errors import WerpError
from werp.progress import say
from werp.signals.batch import TextBatch

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

_CLUSTERS, _MEMBERS, _SHOWN_CHARS = 5, 5, 500


class SeatBeltError(WerpError):
    """An alarm of deduplication: nothing is committed until it is accepted or its cause removed."""

    status: ClassVar[int] = 3


def alarm(name: str, text: str, accepted: Collection[str]) -> None:
    """Stop with the text, or go on with a line where the alarm's name is accepted."""
    if name not in accepted:
        remedy = f"Look at it; then remove the cause, or --accept {name}"
        raise SeatBeltError(f"{text}\nNothing was committed. {remedy}")
    say(f"accepted {name}: {text}")


def check(figures: dict[str, Any], limits: Limits, accepted: Collection[str]) -> None:
    """Hold the figures of deduplication against the limits; raises `SeatBeltError` where one is exceeded."""
    for source, (documents, removed) in sorted(figures["sources"].items()):
        if documents >= limits.min_documents and removed > limits.max_source_loss * documents:
            alarm(
                SOURCE_LOSS,
                f"deduplication removes {removed:,} of {documents:,} documents of {source}"
                f" ({100 * removed / documents:.1f} %, dedup_limits.max_source_loss ="
                f" {limits.max_source_loss}){_shown(figures)}",
                accepted,
            )
    for stage in figures["stages"]:
        size = stage["largest"][0]["size"] if stage.get("largest") else 0
        if size > limits.max_cluster:
            alarm(
                CLUSTER_SIZE,
                f"the largest cluster of {stage['rule']} has {size:,} documents (dedup_limits.max_cluster ="
                f" {limits.max_cluster:,}){_shown(figures)}",
                accepted,
            )


def _shown(figures: dict[str, Any]) -> str:
    lines = []
    for cluster in figures["worst"][:3]:
        lines.append(f"\n  {cluster['rule']}, {cluster['size']:,} documents, for example")
        for member in cluster["members"]:
            lines.append(f"\n    Jaccard {member['jaccard']:.2f}  {member['url']}  {member['text'][:60]!r}")
    return "".join(lines)


def worst_clusters(
    spark: SparkSession | None, context: Context, stages: Sequence[dict[str, Any]], found: Sequence[Path]
) -> list[dict[str, Any]]:
    """The largest clusters with some of their documents, each held against the survivor by true Jaccard
    similarity of 5-word shingles; `text` is its beginning.
    """
    wanted = [
        (cluster["id"], cluster["survivor_id"], stage["rule"], cluster["size"])
        for stage in stages
        for cluster in stage.get("largest", [])[:_CLUSTERS]
    ]
    if not wanted:
        return []
    clusters = {(rule, name): survivor for name, survivor, rule, _ in wanted}

    def look(unit: int) -> list[dict[str, Any]]:
        table = pq.read_table(found[unit], columns=["id", "rule", "cluster_id", "survivor_id"])
        names = pa.array([name for name, *_ in wanted], pa.string())
        some: dict[tuple[str, str], list[str]] = {}
        for row in table.filter(pc.is_in(table.column("cluster_id"), value_set=names)).to_pylist():
            key = (row["rule"], row["cluster_id"])
            members = some.setdefault(key, [])
            if key in clusters and (len(members) < _MEMBERS or row["id"] == clusters[key]):
                members.append(row["id"])
        return _read(context, unit, some)

    rows = [row for part in over_units(spark, context, look) for row in part]
    out = []
    for name, survivor, rule, size in wanted:
        members = [row for row in rows if (row["rule"], row["cluster"]) == (rule, name)]
        kept = next(row for row in members if row["id"] == survivor)
        chosen = [kept, *[row for row in members if row["id"] != survivor][:_MEMBERS]]
        for row in chosen:
            row["jaccard"] = jaccard(np.array(row["shingles"], "u8"), np.array(kept["shingles"], "u8"))
        keys = ("id", "url", "jaccard", "text")
        shown = [{key: row[key] for key in keys} for row in chosen]
        out.append(
            {"rule": rule, "cluster_id": name, "size": size, "survivor_id": survivor, "members": shown}
        )
    return out


def _read(context: Context, unit: int, some: dict[tuple[str, str], list[str]]) -> list[dict[str, Any]]:
    """Address, beginning and shingles of some documents of a unit."""
    from werp.signals.shingles import shingles  # noqa: PLC0415

    names = pa.array(sorted({name for members in some.values() for name in members}), pa.string())
    facts: dict[str, dict[str, Any]] = {}
    for _, batch in batches_of(context.sources[unit].documents) if len(names) else ():
        part = batch.filter(pc.is_in(batch.column("id"), value_set=names))
        texts = edited_texts(part)
        if texts:
            made = TextBatch(texts, texts, texts, context.segmenter)
            hashes, firsts = shingles(made, 5, "word", "fineweb")
        for k, row in enumerate(part.select(["id", "url"]).to_pylist()):
            own = np.unique(hashes[firsts[k] : firsts[k + 1]]).tolist()
            facts[row["id"]] = {**row, "text": texts[k][:_SHOWN_CHARS], "shingles": own}
    return [
        {"rule": rule, "cluster": cluster, **facts[name]}
        for (rule, cluster), members in some.items()
        for name in members
    ]
