"""trafilatura's XPath expressions, compiled to Python: the same text in much less time.

Half of trafilatura's time goes into expressions such as `.//*[self::div or self::p][re:test(@class, '...')]`:
libxml2 calls back into Python's `re` up to three times for every element of a page, for each of a dozen
expressions, and most of them match nothing. Here such an expression is parsed into one test for each
attribute it names. The values of that attribute are read off the page at once, without an object for each
element; an answer is kept for each value; elements are walked only where some value matches.

`install` replaces the expressions in trafilatura's lists that have this form. Any other stays as it is, so a
release with other expressions is slower, not wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from lxml import etree, html

Test = Callable[[str], bool]

_MOST = 100_000  # answers that one test keeps
_FORM = re.compile(r"(?P<first>\()?\s*\.//\*\s*(?P<predicates>\[.*\])(?(first)\s*\)\s*\[1\])", re.S)
_TAGS = re.compile(r"\[\s*((?:self::\w+)(?:\s+or\s+self::\w+)*)\s*\]")
_PREDICATE = re.compile(r"\s*\[(?P<terms>(?:'[^']*'|\"[^\"]*\"|[^\[\]'\"])*)\]\s*", re.S)
_VALUE = r"(?P<value>'[^']*'|\"[^\"]*\")"
_NAMES = r"(?P<names>@[\w-]+(?:\|@[\w-]+)?)"
_TERM = re.compile(
    rf"\s*(?:(?P<call>contains|starts-with|re:test)\(\s*{_NAMES}\s*,\s*{_VALUE}\s*(?P<flag>,\s*'i'\s*)?\)"
    rf"|contains\(\s*translate\(\s*(?P<moved>@[\w-]+)\s*,\s*'(?P<old>\w+)'\s*,\s*'(?P<new>\w+)'\s*\)\s*,"
    r"\s*(?P<within>'[^']*'|\"[^\"]*\")\s*\)"
    r"|(?P<equal>@[\w-]+)\s*=\s*(?P<to>'[^']*'|\"[^\"]*\")|(?P<has>@[\w-]+))\s*(?P<or>\bor\b|$)",
    re.S,
)


class Answers(dict[str, bool]):
    """What a test says of each value, asked once."""

    def __init__(self, tests: list[Test]) -> None:
        super().__init__()
        self._tests = tests

    def __missing__(self, value: str) -> bool:
        if len(self) >= _MOST:
            self.clear()
        answer = False
        for test in self._tests:
            if test(value):
                answer = True
                break
        self[value] = answer
        return answer


class Compiled:
    """One expression; called as `lxml.etree.XPath` is, with an element, for the matches under it.

    whole: the terms are all of its predicates. Where more follow, the terms say whether anything can match,
        and the expression itself is asked.
    """

    def __init__(
        self, source: etree.XPath, tags: tuple[str, ...], terms: list[Term], *, first: bool, whole: bool
    ) -> None:
        self._source = source
        self._whole = whole
        self._tags = tags
        self._first = first
        own = sorted({term.names[0] for term in terms if len(term.names) == 1})
        self._single = [(n, Answers([t.test for t in terms if t.names == (n,)])) for n in own]
        self._pairs = [(term.names, Answers([term.test])) for term in terms if len(term.names) == 2]
        # Every attribute, with the answers that a value of it can be given.
        asked = [(name, answers) for name, answers in self._single]
        asked += [(name, answers) for names, answers in self._pairs for name in names]
        self._values = [(etree.XPath(f".//@{name}", smart_strings=False), answers) for name, answers in asked]

    def __str__(self) -> str:
        return str(self._source)

    def __call__(self, tree: Any) -> list[Any]:
        """Matching descendants in document order; only the first where the expression ends in `[1]`."""
        if not self._any_value_matches(tree):
            return []
        if not self._whole:
            return self._source(tree)  # type: ignore[no-any-return]
        found = []
        for element in tree.iterdescendants(*self._tags):
            if self._matches(element):
                found.append(element)
                if self._first:
                    break
        return found

    def _any_value_matches(self, tree: Any) -> bool:
        for values, answers in self._values:
            for value in values(tree):
                if answers[value]:
                    return True
        return False

    def _matches(self, element: Any) -> bool:
        for name, answers in self._single:
            value = element.get(name)
            if value is not None and answers[value]:
                return True
        for (one, other), answers in self._pairs:
            value, second = element.get(one), element.get(other)
            # `@id|@class` as a string is the one that comes first in the document.
            if value is None or (second is not None and _before(element, other, one)):
                value = second
            if value is not None and answers[value]:
                return True
        return False


def _before(element: Any, name: str, other: str) -> bool:
    names = element.keys()
    return bool(names.index(name) < names.index(other))


class Term(NamedTuple):
    """A test of one attribute, or of the first of two, as `re:test(@id|@class, ...)` means it."""

    names: tuple[str, ...]
    test: Test


def compiled(expression: etree.XPath) -> Compiled | None:
    """The expression compiled; None where it is not one descendant step with tests of its own attributes."""
    form = _FORM.fullmatch(str(expression.path).strip())
    if not form:
        return None
    predicates = form["predicates"]
    tagged = _TAGS.match(predicates)
    tags = tuple(re.findall(r"self::(\w+)", tagged[1])) if tagged else ("*",)
    rest = predicates[tagged.end() :] if tagged else predicates
    predicate = _PREDICATE.match(rest)
    terms = _terms(predicate["terms"]) if predicate else None
    if not predicate or not terms:
        return None
    whole = predicate.end() == len(rest)
    return Compiled(expression, tags, terms, first=bool(form["first"]), whole=whole)


def _terms(text: str) -> list[Term] | None:
    terms: list[Term] = []
    at, more = 0, True
    while more:
        match = _TERM.match(text, at)
        if not match:
            return None
        terms.append(_term(match))
        at, more = match.end(), bool(match["or"])
    return terms if at == len(text) else None


def _term(match: re.Match[str]) -> Term:
    if match["has"]:
        return Term((match["has"][1:],), lambda value: True)
    if match["equal"]:
        return Term((match["equal"][1:],), match["to"][1:-1].__eq__)
    if match["moved"]:
        table, part = str.maketrans(match["old"], match["new"]), match["within"][1:-1]
        return Term((match["moved"][1:],), lambda value: part in value.translate(table))
    names = tuple(name[1:] for name in match["names"].split("|"))
    literal = match["value"][1:-1]
    if match["call"] == "contains":
        return Term(names, lambda value: literal in value)
    if match["call"] == "starts-with":
        return Term(names, lambda value: value.startswith(literal))
    pattern = re.compile(literal, re.I if match["flag"] else 0)  # lxml hands re:test to re.search, too
    return Term(names, lambda value: pattern.search(value) is not None)


def plain_elements(parser: etree.HTMLParser) -> None:
    """Have a parser make every element an `HtmlElement`, chosen in C.

    lxml's own choice is a Python function called for every element, for the sake of the methods that forms
    and inputs have, which no extractor uses.
    """
    parser.set_element_class_lookup(
        etree.ElementDefaultClassLookup(
            element=html.HtmlElement, comment=html.HtmlComment, pi=html.HtmlProcessingInstruction,
            entity=html.HtmlEntity,
        )
    )  # fmt: skip


def install(module: ModuleType) -> int:
    """Replace what can be in the lists of `trafilatura.xpaths`; returns how many. Safe to repeat."""
    replaced = 0
    for name, expressions in vars(module).items():
        if not name.isupper() or not isinstance(expressions, list):
            continue
        for i, expression in enumerate(expressions):
            quick = compiled(expression) if isinstance(expression, etree.XPath) else None
            if quick is not None:
                expressions[i] = quick
                replaced += 1
    return replaced
