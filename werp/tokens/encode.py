"""One input file to ids: the unit of a tokenizing job."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from werp.errors import WerpError
from werp.progress import Heartbeat
from werp.tokens.folder import PROGRESS, Part, token_type
from werp.tokens.plain import END, end_of
from werp.tokens.sources import Band, texts
from werp.tokens.vocabulary import entries


def encode_file(
    file: Path, field: str, tokenizer: Tokenizer, part: Part, band: Band | None = None,
    heartbeat: Heartbeat | None = None,
) -> None:  # fmt: skip
    """Write a file's documents, each ended by the end token, and their lengths in tokens and bytes of text.

    The library's own batch encoding, which uses every thread it is given (RAYON_NUM_THREADS). Memory: one
    batch, some 30 bytes a character of its text.

    tokenizer: as `werp.tokens.plain.plain` gives it. Raises WerpError where it makes the end token of text.
    """
    kind, end = token_type(entries(tokenizer)), end_of(tokenizer)
    documents = tokens = 0
    with part.ids.open("wb") as ids, part.lengths.open("wb") as lengths:
        for batch in texts(file, field, band):
            encoded = tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            for text, encoding in zip(batch, encoded, strict=True):
                # array() takes a list of ints at 16 ns each; numpy.array at 36.
                document = np.frombuffer(array("I", encoding.ids), dtype=np.uint32).astype(kind)
                if (document == end).any():
                    raise WerpError(
                        f"{file}: the tokenizer turns what it doesn't know into {END}, which ends documents: "
                        f"{text[:60]!r}...; name a --tokenizer with an unknown token of its own"
                    )
                ids.write(document.tobytes())
                ids.write(kind.type(end).tobytes())
                lengths.write(np.array([len(document) + 1, utf8(text)], "<i8").tobytes())
                documents, tokens = documents + 1, tokens + len(document) + 1
            if heartbeat:  # how many of a packed file's bytes that was, nobody says
                heartbeat.beat(0, documents, tokens)
    if heartbeat:
        heartbeat.done(documents, tokens)


def utf8(text: str) -> int:
    """Bytes of a text."""
    return len(text) if text.isascii() else len(text.encode())


def encode_named(
    file: str, field: str, band: Band | None, tokenizer_file: str, ids: str, lengths: str
) -> None:
    """`encode_file` by names alone, for a task in another process; its heartbeats go beside the ids."""
    part, source = Part(Path(ids), Path(lengths)), Path(file)
    heartbeat = Heartbeat(part.ids.parent / PROGRESS, part.ids.name.partition(".")[0], source.stat().st_size)
    encode_file(source, field, Tokenizer.from_file(tokenizer_file), part, band, heartbeat)
