"""trafilatura's expressions compiled: they match what the expressions match, and the text stays the same."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from lxml import etree, html

from werp.extract.xpaths import Compiled, compiled
from werp.pages import ReadOptions, row_of
from werp.read import read_records
from werp.read.charset import decode_html


def expressions() -> ModuleType:
    """trafilatura's expressions as they are, whatever this process has replaced."""
    spec = importlib.util.find_spec("trafilatura.xpaths")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages(folder: Path, every: int) -> list[str]:
    out = []
    for path in sorted((folder / "warc-pages").glob("*.warc.gz")):
        for i, record in enumerate(read_records(path)):
            row = row_of(record, path.name, None, ReadOptions())
            if row.html is not None and i % every == 2:
                out.append(decode_html(row.html, row.content_type)[0])
    return out


def test_the_expressions_that_cost_are_compiled() -> None:
    lists = vars(expressions())
    done = {
        name: [compiled(x) is not None for x in lists[name]]
        for name in ("OVERALL_DISCARD_XPATH", "TEASER_DISCARD_XPATH", "REMOVE_COMMENTS_AND_LISTS_XPATH")
    }
    assert all(all(own) for own in done.values()), f"this trafilatura has other expressions: {done}"


def test_they_match_what_the_expressions_match(werp_data: Path) -> None:
    pairs = [
        (x, quick)
        for name, own in vars(expressions()).items()
        if name.isupper() and isinstance(own, list)
        for x in own
        if (quick := compiled(x)) is not None
    ]
    assert len(pairs) >= 15
    matched = 0
    for page in pages(werp_data, 90):
        try:
            tree = html.document_fromstring(page.encode())
        except etree.ParserError:
            continue
        for expression, quick in pairs:
            found = expression(tree)
            assert quick(tree) == found, str(expression.path)
            matched += len(found)
    assert matched > 500


@pytest.mark.parametrize(
    "path", [".//header", "(.//article)[1]", ".//*[self::p][.//h1]", ".//*[text()='a']", ".//div[@id='a']",
             ".//*[self::p][@id='a' and @class='b']"],
)  # fmt: skip
def test_any_other_expression_is_left_alone(path: str) -> None:
    assert compiled(etree.XPath(path)) is None


def test_the_first_of_two_attributes_is_the_one_that_counts() -> None:
    expression = etree.XPath(
        ".//*[self::p][re:test(@id|@class, 'x')]",
        namespaces={"re": "http://exslt.org/regular-expressions"},
    )
    quick = compiled(expression)
    assert isinstance(quick, Compiled)
    for source in (
        "id='x' class='y'",
        "class='y' id='x'",
        "class='x' id='y'",
        "id='y' class='x'",
        "class='x'",
    ):
        tree = html.document_fromstring(f"<body><p {source}>a</p></body>")
        assert quick(tree) == expression(tree), source


_SCRIPT = """
import hashlib, sys
from tests.extract.test_xpaths import pages
from werp.extract.extractors import Trafilatura
from pathlib import Path
extractor = Trafilatura(favor_precision=True, deduplicate=True)
if sys.argv[2] == "quick":
    extractor.warm_up()
texts = []
for page in pages(Path(sys.argv[1]), 120):
    try:
        texts.append(extractor.extract(page, None))
    except Exception as error:
        texts.append(repr(error))
print(len(texts), hashlib.sha256(repr(texts).encode()).hexdigest())
"""


def test_the_text_is_the_same(werp_data: Path) -> None:
    def run(how: str) -> str:
        command = [sys.executable, "-c", _SCRIPT, str(werp_data), how]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert run("quick") == run("plain")
