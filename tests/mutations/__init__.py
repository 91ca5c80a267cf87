"""Small wrong changes of the sources, and the tests that must fail for each; see `python -m tests.mutations`.

Each module here but `__main__` holds a list CHANGES for a part of the package.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One wrong line, and where it must show.

    name: short, unique in its list. file: from the root of the tree. old: stands in it exactly once. new: what
    it becomes; the file must still import. tests: what pytest is given, the quickest first, since the first
    failure ends it.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
