"""Token folders for other trainers: Megatron-LM's `.bin` and `.idx`, OLMo-core's `.npy`.

Megatron: PREFIX.bin holds the ids one after the other; PREFIX.idx, little-endian: the magic `MMIDIDX\\0\\0`,
version (u64, 1), type code (u8: 8 for uint16, 4 for int32), number of sequences (u64), number of documents +
1 (u64), then the sequences' lengths (i32), their byte positions (i64) and the documents' first sequences
(i64). A document is one sequence here. OLMo-core: a raw array of ids without a header, in files named `.npy`,
the end token between documents.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from werp.errors import WerpError
from werp.rundir import refuse_unwritable, sync

MAGIC = b"MMIDIDX\x00\x00"
CHUNK = 1 << 24  # ids converted at once


def read_folder(folder: Path) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The ids and offsets of a token folder, mapped; WerpError when it is none."""
    arrays = []
    for name in ("tokens", "offsets"):
        path = folder / f"{name}.arrow"
        try:
            with pa.memory_map(str(path)) as source:
                column = pa.ipc.open_file(source).get_batch(0).column(0)
        except (OSError, pa.ArrowInvalid) as error:
            raise WerpError(f"{path}: not a token table ({error}); write it with werp tokenize") from error
        arrays.append(column.to_numpy(zero_copy_only=True))
    return arrays[0], arrays[1]


@contextlib.contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when all of it is written: a raw array cut short looks like a shorter one."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            sync(file)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def refuse_target(path: Path, flag: str, output: Path) -> None:
    """WerpError, before the work, where an export would replace what is no file, or go with the tokens."""
    refuse_unwritable(path.parent, flag)
    if path.exists() and not path.is_file():
        raise WerpError(f"{flag} {path}: exists and is no file; name one in a folder")
    if output.absolute() in path.absolute().parents:
        raise WerpError(f"{flag} {path}: lies in --output, which is replaced whole; name another place")


def export_megatron(folder: Path, prefix: Path) -> None:
    """Write PREFIX.bin and PREFIX.idx; ids above 65,535 need int32 there, where Megatron has no uint32."""
    tokens, offsets = read_folder(folder)
    kind, code = (np.dtype("<u2"), 8) if tokens.dtype.itemsize == 2 else (np.dtype("<i4"), 4)
    lengths = np.diff(offsets)
    if len(lengths) and int(lengths.max()) >= 1 << 31:
        raise WerpError(
            f"{folder}: a document of {int(lengths.max()):,} tokens is too long for Megatron's index"
        )
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(prefix.name + ".idx").unlink(missing_ok=True)  # never beside other ids than its own
    with whole(prefix.with_name(prefix.name + ".bin")) as file:
        for start in range(0, len(tokens), CHUNK):
            file.write(tokens[start : start + CHUNK].astype(kind).tobytes())
    with whole(prefix.with_name(prefix.name + ".idx")) as file:
        file.write(MAGIC + struct.pack("<QBQQ", 1, code, len(lengths), len(lengths) + 1))
        file.write(lengths.astype("<i4").tobytes())
        file.write((offsets[:-1] * kind.itemsize).astype("<i8").tobytes())
        file.write(np.arange(len(lengths) + 1, dtype="<i8").tobytes())


def export_olmo(folder: Path, path: Path) -> None:
    """Write the ids as OLMo-core's memory-mapped array (raw, no header)."""
    tokens, _ = read_folder(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as file:
        for start in range(0, len(tokens), CHUNK):
            file.write(tokens[start : start + CHUNK].tobytes())
