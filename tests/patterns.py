"""Every regular expression of the package, and texts made of its own pieces that may take it long.

A pattern is taken apart by the standard library's own parser: a sample of each of its parts, alone, with its
neighbour and in random pairs, is repeated behind what the pattern asks for before it, and the text ends with
what the pattern does not want.
"""

from __future__ import annotations

import ast
import importlib
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from time import process_time
from typing import Any

from tests.job import ROOT
from werp.clock import Failure, attempt

PACKAGES = ("werp", "models", "eval_harness", "kernels", "jobs")
#: Functions make these: one from a list of words, which the test has too; one at import, which is found there.
MADE_BY_FUNCTIONS = {"werp/signals/c4.py", "werp/signals/boilerplate_lines.py"}
#: These read trafilatura's own expressions, once, and no page.
NO_PAGES = {"werp/extract/xpaths.py"}
_MANY = 2_000  # characters of a text that is tried
_SUSPICIOUS = 0.004  # seconds of CPU time that no linear pattern took on them; then growth is measured
_ENDS = ("", "\0", "\n", "!a")


def patterns() -> dict[str, re.Pattern[Any]]:
    """Name -> pattern: those compiled at import, found in the modules, and those written into calls."""
    found: dict[str, re.Pattern[Any]] = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name in NO_PAGES:
            continue
        inline, imported = _written(name, path)
        found |= inline
        if imported:
            module = importlib.import_module(name.removesuffix(".py").replace("/", "."))
            for key, value in vars(module).items():
                found |= {f"{name}:{place}": one for place, one in _inside(key, value, 0)}
    return found


def _written(name: str, path: Path) -> tuple[dict[str, re.Pattern[Any]], bool]:
    """The patterns that stand as literals in calls, and whether there are others to be had by importing."""
    inline: dict[str, re.Pattern[Any]] = {}
    imported = False
    tree = ast.parse(path.read_text("utf-8"))
    inner = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func
        if not called or not isinstance(called.value, ast.Name) or called.value.id != "re":
            continue
        if called.attr not in (
            "compile",
            "match",
            "fullmatch",
            "search",
            "sub",
            "subn",
            "split",
            "findall",
            "finditer",
        ):
            continue
        first = node.args[0]  # type: ignore[attr-defined]
        if isinstance(first, ast.Constant):
            inline[f"{name}:{node.lineno}"] = re.compile(first.value, _flags(node))  # type: ignore[attr-defined]
        else:
            assert node not in inner or name in MADE_BY_FUNCTIONS, f"{name}:{node.lineno}: made while running"
            imported = True
    return inline, imported


def _flags(call: Any) -> int:
    named = [word.attr for node in ast.walk(call) for word in [node] if isinstance(word, ast.Attribute)]
    return sum(
        int(getattr(re, word))
        for word in named
        if word in {"I", "M", "S", "A", "IGNORECASE", "DOTALL", "MULTILINE"}
    )


def _inside(name: str, value: Any, depth: int) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """The patterns in a module's value: in tuples, lists, dictionaries and their like."""
    if isinstance(value, re.Pattern):
        yield name, value
    elif isinstance(value, dict) and depth < 4:
        for key, item in value.items():
            yield from _inside(f"{name}[{key}]", item, depth + 1)
    elif isinstance(value, list | tuple) and depth < 4:
        for number, item in enumerate(value):
            yield from _inside(f"{name}[{number}]", item, depth + 1)


# --- pieces of a pattern ------------------------------------------------------------------------


def pieces(pattern: re.Pattern[Any]) -> list[tuple[str, str]]:
    """(what stands before it, sample) of each part of a pattern."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = parser.parse(
        text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    )
    found = dict.fromkeys(_pieces(tree, ""))
    return [(lead, sample) for lead, sample in found if sample]


def _pieces(items: Any, lead: str) -> Iterator[tuple[str, str]]:
    before = lead
    last = ""
    for item in items:
        sample = _sample(item)
        yield before, sample
        yield lead, last + sample
        for inner in _parts(item):
            yield from _pieces(inner, before)
        before, last = before + sample, sample


def _parts(item: Any) -> list[Any]:
    """The sequences inside a part of a pattern."""
    code, value = item
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        return [value[2]]
    if code is codes.BRANCH:
        return list(value[1])
    if code is codes.SUBPATTERN:
        return [value[-1]]
    if code in (codes.ASSERT, codes.ASSERT_NOT):
        return [value[1]]
    if code is codes.ATOMIC_GROUP:
        return [value]
    if code is codes.GROUPREF_EXISTS:
        return [part for part in value[1:] if part is not None]
    return []


def _sample(item: Any) -> str:
    """A short text that a part of a pattern matches."""
    code, value = item
    if code is codes.LITERAL:
        return chr(value)
    if code is codes.NOT_LITERAL:
        return "a" if value != ord("a") else "b"
    if code is codes.ANY:
        return "a"
    if code is codes.IN:
        return _of_class(value)
    if code in (codes.AT, codes.ASSERT, codes.ASSERT_NOT, codes.GROUPREF):
        return ""
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        return "".join(map(_sample, value[2])) * max(1, min(int(value[0]), 40))
    inner = _parts(item)
    return "".join(map(_sample, inner[0])) if inner else ""


_OF_CATEGORY = {codes.CATEGORY_DIGIT: "1", codes.CATEGORY_SPACE: " ", codes.CATEGORY_WORD: "a",
                codes.CATEGORY_NOT_DIGIT: "a", codes.CATEGORY_NOT_SPACE: "a", codes.CATEGORY_NOT_WORD: "!"}  # fmt: skip


def _of_class(members: Any) -> str:
    if members[0][0] is codes.NEGATE:
        shape = re.compile("".join(["[^", *(_escaped(member) for member in members[1:]), "]"]))
        return next(
            char for char in "a1 -.<\n\u00e9" + "".join(map(chr, range(33, 500))) if shape.match(char)
        )
    code, value = members[0]
    if code is codes.RANGE:
        return chr(value[0])
    return _OF_CATEGORY[value] if code is codes.CATEGORY else chr(value)


def _escaped(member: Any) -> str:
    code, value = member
    if code is codes.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    if code is codes.CATEGORY:
        return {"1": r"\d", " ": r"\s", "a": r"\w", "!": r"\W"}[_OF_CATEGORY[value]]
    return re.escape(chr(value))


# --- growth -------------------------------------------------------------------------------------


def texts(pattern: re.Pattern[Any], seed: int) -> list[Callable[[int], Any]]:
    """Makers of hostile texts of about so many characters."""
    parts = pieces(pattern)
    draw = random.Random(seed)
    bodies = [(lead, sample) for lead, sample in parts] + [("", sample) for _, sample in parts]
    some = [sample for _, sample in parts] or ["a"]
    leads = [lead for lead, _ in parts] or [""]
    bodies += [(draw.choice(leads), draw.choice(some) + draw.choice(some)) for _ in range(60)]
    encode = isinstance(pattern.pattern, bytes)

    def maker(lead: str, body: str, end: str) -> Callable[[int], Any]:
        def make(size: int) -> Any:
            text = lead + body * (size // len(body) + 1) + end
            return text.encode("latin-1", "replace") if encode else text

        return make

    unique = dict.fromkeys(bodies)
    return [maker(lead, body, draw.choice(_ENDS)) for lead, body in unique]


def superlinear(pattern: re.Pattern[Any], seed: int = 0) -> str | None:
    """A text on which a pattern takes more than in proportion to its length, described; None without one."""
    for make in texts(pattern, seed):
        for method in (lambda text: list(pattern.finditer(text)), pattern.fullmatch):
            if _seconds(method, make(_MANY)) < _SUSPICIOUS:
                continue
            size = _MANY // 4
            times = [min(_seconds(method, make(size << k)) for _ in range(3)) for k in range(3)]
            if times[2] > 2.8 * times[1] and times[2] > _SUSPICIOUS:
                return f"{make(60)!r}: {', '.join(f'{1e3 * t:.2f} ms' for t in times)} for doubled lengths"
    return None


def _seconds(method: Callable[[Any], Any], text: Any) -> float:
    started = process_time()
    found = attempt(lambda: method(text), "test", "pattern", 3)
    return 3.0 if isinstance(found, Failure) else process_time() - started
