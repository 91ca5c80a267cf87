"""The rows a stage leaves of each input file, in the schema `DEDUP`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from werp.dedup.clusters import Members, repeat_weight
from werp.rundir import new_file
from werp.tables import DEDUP

if TYPE_CHECKING:
    from werp.dedup.context import Context, Nodes


def cluster_rows(
    ids: Sequence[str],
    nodes: Nodes,
    found: Members,
    names: dict[int, str],
    similarities: Sequence[float],
    rule: str,
    threshold: float | None,
) -> list[dict[str, Any]]:
    """A row for every member of a cluster; the survivor's has no survivor_id and drops nothing.

    names: ids of the nodes of survivors and first members.
    """
    rows = []
    for name, node, size, survivor, first, similarity in zip(
        ids, nodes.tolist(), found.sizes.tolist(), found.survivors.tolist(), found.firsts.tolist(),
        similarities, strict=True,
    ):  # fmt: skip
        stays = node == survivor
        rows.append(
            {
                "id": name, "rule": rule, "dropped": not stays,
                "survivor_id": None if stays else names[survivor], "cluster_id": names[first],
                "cluster_size": size, "similarity": similarity, "threshold": threshold,
                "repeat_weight": repeat_weight(size) if stays else 0, "removed": [],
            }
        )  # fmt: skip
    return rows


def write_rows(context: Context, unit: int, rows: list[dict[str, Any]]) -> list[int]:
    """Store a unit's rows of a stage; returns how many documents they drop and how many spans they cut."""
    with new_file(context.folder / "found" / f"{unit}.parquet", context.temporary) as partial:
        pq.write_table(pa.Table.from_pylist(rows, DEDUP), partial, compression="zstd")
    return [sum(row["dropped"] for row in rows), sum(len(row["removed"]) for row in rows)]
