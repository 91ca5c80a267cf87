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
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from time import process_time
from typing import Any, NamedTuple

from tests.job import ROOT
from werp.clock import Failure, attempt

PACKAGES = ("werp", "models", "eval_harness", "kernels", "jobs")
#: Functions make these: of a list of words (the test has one), at import, of characters, of a tag's name.
MADE_BY_FUNCTIONS = {
    "werp/signals/c4.py",
    "werp/signals/boilerplate_lines.py",
    "werp/read/encodings.py",
    "werp/signals/lines.py",
    "werp/signals/looks.py",
    "werp/signals/scripts.py",
    "werp/read/prescan.py",
}
#: These read trafilatura's own expressions, and pictures that the report drew itself.
NO_PAGES = {"werp/extract/xpaths.py", "werp/report/charts.py"}
_METHODS = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
_MANY = 2_000  # characters of a text that is tried
_SUSPICIOUS = 0.001  # seconds of CPU time on them from which on growth is measured
_LONGEST = 1.0  # seconds, at most, that a text is tried
_ENDS = ("", "\0", "\n", "!a")


class Found(NamedTuple):
    """A pattern, and whether the package only matches it at a place, so that no other beginning is tried."""

    pattern: re.Pattern[Any]
    in_place: bool


def patterns() -> dict[str, Found]:
    """Name -> pattern: those compiled at import, found in the modules, and those written into calls."""
    found: dict[str, Found] = {}
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    trees = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in paths}
    for name, tree in trees.items():
        if name in NO_PAGES:
            continue
        inline, imported = _written(name, tree)
        found |= inline
        for key, value in _module(name).items() if imported else ():
            own = dict(_inside(f"{name}:{key}", value, 0))
            where = [tree] if key.startswith("_") else list(trees.values())
            methods = {method for one in where for method in _called_on(key, one)} if own else set()
            in_place = bool(methods) and methods <= {"match", "fullmatch"}
            found |= {place: Found(one, in_place) for place, one in own.items()}
    return found


def _module(name: str) -> dict[str, Any]:
    return vars(importlib.import_module(name.removesuffix(".py").replace("/", ".")))


def _written(name: str, tree: ast.Module) -> tuple[dict[str, Found], bool]:
    """The patterns that stand in calls of `re.sub` and the like, and whether the module compiles others."""
    inline: dict[str, Found] = {}
    imported = False
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inner = {node for function in functions for node in ast.walk(function)}
    for call, method in _calls("re", tree):
        if method == "compile" and call not in inner:
            imported = True
        elif isinstance(call.args[0], ast.Constant):
            pattern = re.compile(call.args[0].value, _flags(call))
            inline[f"{name}:{call.lineno}"] = Found(pattern, method in ("match", "fullmatch"))
        elif method == "compile" or method in _METHODS:
            assert name in MADE_BY_FUNCTIONS, f"{name}:{call.lineno}: a pattern that is made while running"
            imported = True
    return inline, imported


def _calls(name: str, tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Calls of `name.method(...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == name and (name != "re" or node.args):
                yield node, node.func.attr


def _called_on(name: str, tree: ast.AST) -> Iterator[str]:
    """What is done with a module's pattern: its methods, or `?` where it is handed on."""
    owners = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
            owners.add(node.value)
            yield node.attr
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            yield from () if node in owners else ("?",)


def _flags(call: ast.Call) -> int:
    names = [node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute)]
    return sum(int(getattr(re, name)) for name in names if name.isupper())


def _inside(name: str, value: Any, depth: int) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """The patterns in a module's value: in tuples, lists, dictionaries and their like."""
    if isinstance(value, re.Pattern):
        yield name, value
    elif isinstance(value, dict | list | tuple) and depth < 4:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _inside(f"{name}[{key}]", item, depth + 1)


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


_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)


def _parts(item: Any) -> list[Any]:
    """The sequences inside a part of a pattern."""
    code, value = item
    if code in _REPEATS:
        return [value[2]]
    if code is codes.BRANCH:
        return list(value[1])
    if code is codes.SUBPATTERN:
        return [value[-1]]
    if code in (codes.ASSERT, codes.ASSERT_NOT):
        return [value[1]]
    return [value] if code is codes.ATOMIC_GROUP else []


def _sample(item: Any) -> str:
    """A short text that a part of a pattern matches."""
    code, value = item
    if code in (codes.AT, codes.ASSERT, codes.ASSERT_NOT, codes.GROUPREF):
        return ""
    if code in _REPEATS:
        return "".join(map(_sample, value[2])) * max(1, min(int(value[0]), 40))
    if code is codes.IN:
        return _of_class(value)
    if code is codes.LITERAL:
        return chr(value)
    if code in (codes.ANY, codes.NOT_LITERAL):
        return "a" if value != ord("a") else "b"
    inner = _parts(item)
    return "".join(map(_sample, inner[0])) if inner else ""


_OF_CATEGORY = {
    codes.CATEGORY_DIGIT: "1", codes.CATEGORY_SPACE: " ", codes.CATEGORY_WORD: "a",
    codes.CATEGORY_NOT_DIGIT: "a", codes.CATEGORY_NOT_SPACE: "a", codes.CATEGORY_NOT_WORD: "!",
}  # fmt: skip


def _of_class(members: Any) -> str:
    if members[0][0] is codes.NEGATE:
        shape = re.compile("".join(["[^", *(_escaped(member) for member in members[1:]), "]"]))
        return next(
            char
            for char in "a1 -.<\n\u00e9" + "".join(map(chr, (*range(33, 500), 0x65E5, 0x1F600)))
            if shape.match(char)
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
    bodies += [("", lead) for lead, _ in parts if lead]
    some = [sample for _, sample in parts] or ["a"]
    leads = [lead for lead, _ in parts] or [""]
    bodies += [(draw.choice(leads), draw.choice(some) + draw.choice(some)) for _ in range(30)]
    encode = isinstance(pattern.pattern, bytes)

    def maker(lead: str, body: str, end: str) -> Callable[[int], Any]:
        def make(size: int) -> Any:
            text = lead + body * (size // len(body) + 1) + end
            return text.encode("latin-1", "replace") if encode else text

        return make

    unique = dict.fromkeys(bodies)
    return [maker(lead, body, draw.choice(_ENDS)) for lead, body in unique]


def superlinear(pattern: re.Pattern[Any], *, in_place: bool = False, seed: int = 0) -> str | None:
    """A text on which a pattern takes more than in proportion to its length, described; None without one.

    in_place: only what begins where the text does is looked for.
    """
    everywhere = pattern.match if in_place else lambda text: list(pattern.finditer(text))
    for make in texts(pattern, seed):
        for method in (everywhere, pattern.fullmatch):
            once = _seconds(method, make(_MANY))
            if once < _SUSPICIOUS:
                continue
            times = [once] * 3
            if once < _LONGEST:
                times = [min(_seconds(method, make(_MANY << k)) for _ in range(3)) for k in range(3)]
            # Four times the length: four times the time, or sixteen by the square.
            if times[2] >= _LONGEST or times[2] > 8 * times[0]:
                return f"{make(60)!r}: {', '.join(f'{1e3 * t:.2f} ms' for t in times)} for doubled lengths"
    return None


def _seconds(method: Callable[[Any], Any], text: Any) -> float:
    started = process_time()
    found = attempt(lambda: method(text), "test", "pattern", _LONGEST)
    return _LONGEST if isinstance(found, Failure) else process_time() - started
