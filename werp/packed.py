"""What Python's own openers of packed files leave out."""

from __future__ import annotations

from pathlib import Path


def refuse_cut_zstd(path: Path) -> None:
    """Raise EOFError where the last frame has no end: the library's reader would just stop there."""
    import zstandard  # noqa: PLC0415 - part of the refinery's packages only

    with path.open("rb") as file:
        frame = None
        while rest := file.read(1 << 16):
            while rest:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                frame.decompress(rest)
                rest = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("Compressed file ended before the end of its last frame")
