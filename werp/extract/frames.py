"""Length-prefixed frames between a guard and its children: a JSON header, then raw bytes.

No pickle: the answering process has parsed a stranger's page, so nothing it sends may be
executed by the one that asked.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any

_PREFIX = struct.Struct("<II")


def write_frame(descriptor: int, header: dict[str, Any], body: bytes = b"") -> None:
    """Write one frame to a pipe or socket. Raises `OSError` when the other end is gone."""
    head = json.dumps(header).encode()
    _write_all(descriptor, _PREFIX.pack(len(head), len(body)) + head)
    _write_all(descriptor, body)


def read_frame(descriptor: int) -> tuple[dict[str, Any], bytes]:
    """Read one frame. Raises `EOFError` when the other end is gone."""
    head_length, body_length = _PREFIX.unpack(_read_exactly(descriptor, _PREFIX.size))
    header = json.loads(_read_exactly(descriptor, head_length))
    return header, _read_exactly(descriptor, body_length)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_exactly(descriptor: int, length: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < length:
        piece = os.read(descriptor, min(length - len(pieces), 1 << 20))
        if not piece:
            raise EOFError("the other end of the pipe is gone")
        pieces += piece
    return bytes(pieces)
