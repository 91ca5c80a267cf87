"""Which files a run reads, and the names they carry in ids, ledger and shards.

A name is the path relative to the listed root, with `/` between parts, so that moving
the folder changes nothing, and base names may repeat. The root of a directory is the
directory, of a glob its part before the first wildcard, of a list file the folder it
lies in or the root given (for relative entries), of single files their deepest common folder.

Lists are named outright: `@list.txt`, `*.paths`, `*.paths.gz` (Common Crawl's `warc.paths.gz`). Their
entries are taken from `--root` where it is given, else from the list's folder.

A folder that holds archives is read as archives; one that holds none, as rows of text (JSON lines,
Parquet, Arrow: a data set of Hugging Face's, cloned or saved).
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from werp.errors import WerpError
from werp.local import refuse_remote
from werp.progress import say
from werp.read.rows import is_rows_in_folder
from werp.rundir import is_run

#: What a directory is searched for (x.warc.gz, x.arc, x.warc.gz.open, x.wat ...); a file named
#: outright or by a glob may have any name.
_ARCHIVE_NAME = re.compile(r"\.(warc|arc|wat|wet)(\.|$)", re.IGNORECASE)
#: Checksums and indices, which lie beside archives and carry their names, as lists do.
_BESIDE = re.compile(r"\.(md5|sha1|sha256|sha512|cdxj?)(\.gz)?$", re.IGNORECASE)
#: What is read as a list of inputs; `(1)` and `.1` are what browsers and wget add to a second download.
_LIST_NAME = re.compile(
    r"\.paths(\.txt)?( ?\(\d+\)|\.\d+)?(\.(gz|bz2|xz|zst))?( ?\(\d+\)|\.\d+)?$", re.IGNORECASE
)
_EDGE = 1 << 20


@dataclass(frozen=True)
class InputFile:
    """One input file. `identity` changes whenever size, first MiB or last MiB change."""

    name: str
    path: str
    size: int
    identity: str


def list_inputs(patterns: Sequence[str], root: Path | None = None) -> list[InputFile]:
    """Resolve paths, directories, globs and `@list.txt` / `*.paths` list files, sorted by name.

    root: where the entries of lists are; left out, each list's folder.

    A file reached twice is read once. Raises `WerpError` for a pattern that matches nothing, an unreadable
    file, a remote address, an empty list, or a list of files that are not there.
    """
    if root is not None and not root.is_dir():
        raise WerpError(f"--root {root}: no such folder; name the one that the entries of lists are in")
    rooted: dict[Path, Path] = {}  # absolute path -> root
    singles: list[Path] = []
    for pattern in patterns:
        for path, at in _expand(pattern, root):
            if at is None:
                singles.append(path)
            else:
                rooted.setdefault(path, at)
    if singles:
        common = Path(os.path.commonpath([path.parent for path in singles]))
        for path in singles:
            rooted.setdefault(path, common)
    if not rooted:
        raise WerpError("--input: no input file given; pass a WARC file, a folder, a glob or a list")
    names = {path: path.relative_to(at).as_posix() for path, at in rooted.items()}
    if len(set(names.values())) < len(names):  # two roots hold the same relative name
        common = Path(os.path.commonpath([path.parent for path in rooted]))
        names = {path: path.relative_to(common).as_posix() for path in rooted}
    files = [_identify(path, name) for path, name in names.items()]
    return sorted(files, key=lambda file: file.name)


def _expand(pattern: str, listed_in: Path | None) -> Iterable[tuple[Path, Path | None]]:
    if not pattern:
        raise WerpError("--input: an empty name; pass a WARC file, a folder, a glob or a list")
    refuse_remote("--input", pattern.removeprefix("@"))
    is_list = pattern.startswith("@") or (_LIST_NAME.search(pattern) and not Path(pattern).is_dir())
    if is_list and (pattern.startswith("@") or Path(pattern).exists() or not glob.has_magic(pattern)):
        yield from _expand_list(Path(pattern.removeprefix("@")), listed_in)
        return
    path = Path(pattern)
    if path.is_dir():
        yield from ((p.absolute(), path.absolute()) for p in _folder_inputs(path))
    elif glob.has_magic(pattern) and not path.exists():
        root = _glob_root(pattern)
        found = sorted(p for p in map(Path, glob.glob(pattern, recursive=True)) if _is_input(p))
        if not found:
            raise WerpError(f"--input {pattern}: the glob matches no file (quote it; ** goes into folders)")
        for p in found:
            if _LIST_NAME.search(p.name):
                yield from _expand_list(p, listed_in)
            else:
                yield p.absolute(), root
    elif path.is_file():
        yield path.absolute(), None
    else:
        raise WerpError(f"--input {pattern}: no such file or folder")


def _folder_inputs(folder: Path) -> list[Path]:
    """The archives below a folder, or where it has none its files of rows; what is left out is said."""
    every, links, runs = _files_below(folder)
    beside = {p for p in every if _BESIDE.search(p.name) or _LIST_NAME.search(p.name)}
    found = [p for p in every if _ARCHIVE_NAME.search(p.name) and p not in beside]
    found = found or [p for p in every if is_rows_in_folder(p)]
    for note, places in (("links to folders are not followed", links), ("runs are not looked into", runs)):
        if places:
            names = ", ".join(str(p.relative_to(folder)) for p in places[:5])
            more = f" and {len(places) - 5} more" if len(places) > 5 else ""
            say(f"{folder}: {note}: {names}{more}; where they are meant, give them an --input of their own")
    if not found:
        raise WerpError(
            f"--input {folder}: the folder holds no file with .warc, .arc, .wat, .wet, .jsonl, .parquet"
            " or .arrow in its name; name files outright or pass a glob to read others"
        )
    if len(found) < len(every):
        say(f"{folder}: {len(every) - len(found)} files are no inputs by their names and are left out")
    return found


def _files_below(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Files below a folder but for hidden ones; links to folders; and runs, whose tables are no inputs.

    Raises `WerpError` where the folder itself is a run.
    """
    if is_run(folder):
        raise WerpError(f"--input {folder}: a run's folder; its texts are refined again from {folder}/shards")
    files, links, runs = [], [], []
    for at, folders, names in os.walk(folder):
        there = [Path(at, name) for name in sorted(folders) if not name.startswith(".")]
        links += [p for p in there if p.is_symlink()]
        runs += [p for p in there if not p.is_symlink() and is_run(p)]
        folders[:] = [p.name for p in there if p not in runs]
        files += [p for name in names if not name.startswith(".") and _is_input(p := Path(at, name))]
    return sorted(files), sorted(links), sorted(runs)


def _is_input(path: Path) -> bool:
    """Whether it is a file, or a link to nothing: that one must not be left out silently."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _expand_list(listing: Path, root: Path | None) -> Iterable[tuple[Path, Path | None]]:
    at = listing.parent if root is None else root
    entries = _entries(listing)
    if not entries:
        raise WerpError(f"--input {listing}: the list names no file; write one a line")
    for number, entry in entries:
        try:
            refuse_remote(f"--input {listing}, line {number}:", entry)
        except WerpError as error:
            remote = sum("://" in other for _, other in entries)
            such = f"; such are {remote:,} of {len(entries):,} entries" if remote else ""
            raise WerpError(f"{error}{such}") from error
    missing = [(number, entry) for number, entry in entries if not (at / entry).is_file()]
    if missing:
        number, entry = missing[0]
        origin = "the list's folder" if root is None else "--root"
        raise WerpError(
            f"--input {listing}, line {number}: no such file: {at / entry}; {len(missing):,} of"
            f" {len(entries):,} entries are not there; entries are taken from {origin}: fetch them into it,"
            " name the right --root, or mend or take out the lines"
        )
    for _, entry in entries:
        inside = not Path(entry).is_absolute() and ".." not in Path(entry).parts
        yield (at / entry).absolute(), at.absolute() if inside else None


def _entries(listing: Path) -> list[tuple[int, str]]:
    """(line number, entry) of a list, which may be packed by gzip as Common Crawl's are."""
    try:
        data = listing.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        lines = data.decode("utf-8-sig").splitlines()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise WerpError(f"--input {listing}: the list's gzip is damaged ({error}); fetch it anew") from error
    except OSError as error:
        raise WerpError(f"--input {listing}: the list can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WerpError(
            f"--input {listing}: a list is UTF-8 text, a file a line, plain or gzip: {error}"
        ) from error
    found = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    return [(number, entry) for number, entry in found if entry and not entry.startswith("#")]


def _glob_root(pattern: str) -> Path:
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:fixed]).absolute() if fixed else Path.cwd()


def _identify(path: Path, name: str) -> InputFile:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise WerpError(f"--input {os.fsencode(path)!r}: its name is not UTF-8; rename the file") from error
    if path.is_symlink() and not path.exists():
        raise WerpError(f"--input {path}: a link to a file that isn't there; fetch it, or remove the link")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(_EDGE))
            file.seek(max(0, size - _EDGE))
            digest.update(file.read(_EDGE))
    except OSError as error:
        raise WerpError(f"--input {path}: can't be read: {error.strerror}") from error
    digest.update(str(size).encode())
    return InputFile(name=name, path=str(path), size=size, identity=digest.hexdigest())
