"""Whole pages through reading and extraction: the right text from every extractor, and who gave up.

What stands between `Start` and `End` of each page is what its table below says, under all three extractors.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from werp.extract.extractors import EXTRACTORS
from werp.inputs import list_inputs
from werp.progress import Heartbeat
from werp.recipe import Recipe
from werp.stages.documents import write_documents
from werp.stages.signals import write_signals
from werp.stages.unit import units_of

FILLER = (
    "The tide comes in twice a day because the Earth turns under the pull of the Moon and of the Sun. " * 3
)
GERMAN = (
    "Das Wasser kommt zweimal am Tag, weil sich die Erde unter der Anziehung des Mondes und der Sonne dreht. "
)
BODY = (
    "The council voted on Monday to rebuild the harbour wall, which the storm of the winter had taken. " * 8
)

#: A flag that is spelt with tags.
ENGLAND = "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbeng") + "\U000e007f"

#: Markup -> the text it must become: characters.
CHARACTERS = {
    **{f"a{reference}b": "ab" for reference in ("&#1;", "&#x1;", "&#0008;", "&#14;", "&#xFFFE;")},
    **{f"a&#{code};b": "a b" for code in (11, 12, 28)},
    "a&#1": "a",
    "a&#x1F;b": "a b",
    "a&#x0B;b": "a b",
    "a&#127;b": "ab",
    "a&#128;b": "a€b",
    "a&#146;b": "a’b",
    "a&#xFDD0;b": "ab",
    "a&#x1FFFF;b": "ab",
    "a&#xD83D;b": "a\ufffdb",
    "a\0b": "ab",
    "a\x01b": "ab",
    "a\x0bb": "a b",
    "a\x0cb": "a b",
    "a\x1eb": "a b",
    "a\x85b": "a b",
    "a\u2028b": "a b",
    "a\x9db": "ab",
    "a\ufffeb": "ab",
    "a\ufdd0b": "ab",
    "a\ufeffb": "ab",
    "a\ufffcb": "ab",
    "a\ue000b": "ab",
    "a\U0010fffdb": "ab",
    "a&shy;b": "ab",
    "a\u2060b": "ab",
    "a\u200eb": "ab",
    "a&rlm;b": "ab",
    "a\u202eb\u202c": "ab",
    "a\u2066b\u2069": "ab",
    "a\U000e0041b": "ab",
    "a\u200bb": "ab",
    "a\u200db": "ab",
    "Auf&zwnj;lage": "Auflage",
    "می&zwnj;خواهم": "می\u200cخواهم",
    "می\u200cخواهم": "می\u200cخواهم",
    "क्\u200dष": "क्\u200dष",
    "ক্\u200cষ": "ক্\u200cষ",
    "ශ්\u200dරී": "ශ්\u200dරී",
    "ന്\u200d": "ന്\u200d",
    "👩\u200d👩\u200d👧": "👩\u200d👩\u200d👧",
    "❤\ufe0f\u200d🔥": "❤\ufe0f\u200d🔥",
    ENGLAND: ENGLAND,
    "ភាសា\u200bខ្មែរ": "ភាសា\u200bខ្មែរ",
    "ไทย\u200bไทย": "ไทย\u200bไทย",
    "ᠮᠣᠩ\u180eᠠ": "ᠮᠣᠩ\u180eᠠ",
    "\u06dd١": "\u06dd١",
    "葛\U000e0100": "葛\U000e0100",
    "\u1c8a\U0001dfff": "\u1c8a\U0001dfff",  # the last two: newer than the interpreter
}

#: Raised and lowered text.
RAISED = {
    "10<sup>6</sup>": "10^6",
    "coupon code<sub>SPRING</sub>at checkout": "coupon code SPRING at checkout",
    "v<sub>max</sub>, pH<sub>opt</sub>": "v_{max}, pH_{opt}",
    "10 <sup>6</sup>": "10 ^6",
    "10<SUP>-3</SUP> m": "10^-3 m",
    "x<sup>n+1</sup>": "x^{n+1}",
    "2<sup>2<sup>n</sup></sup>": "2^{2^n}",
    "<i>x</i><sup><em>2</em></sup>": "x^2",
    "5 cm<sup>2</sup>": "5 cm^2",
    "m<sup>3</sup>/s": "m^3/s",
    "Ca<sup>2+</sup>": "Ca^{2+}",
    "10<sup>&#8722;6</sup>": "10^−6",
    "A<sup>T</sup>": "A^T",
    "f<sup>(n)</sup>": "f^{(n)}",
    "the <sup>14</sup>C age": "the ^14C age",
    "a<sup>&lt;b</sup>": "a^{<b}",
    "x<sub>2</sub>": "x_2",
    "a<sub>ij</sub>": "a_{ij}",
    "x<sub>i</sub><sup>2</sup>": "x_i^2",
    "H<sub>2</sub>O": "H2O",
    "Ca(OH)<sub>2</sub>": "Ca(OH)2",
    "log<sub>10</sub> x": "log_10 x",
    "1<sup>st</sup>": "1st",
    "XIX<sup>e</sup>": "XIXe",
    "M<sup>me</sup> B": "Mme B",
    "n<sup>o</sup> 5": "no 5",
    "Brand<sup>®</sup>": "Brand®",
    "Brand<sup>TM</sup>": "Brand™",
    "word<sup>[1]</sup>": "word[1]",
    "word<sup><a href='#n'>1</a></sup>": "word[1]",
    "word<sup>*</sup>": "word*",
    "word<a href='#n'><sup>2</sup></a> on": "word[2] on",
    "harbour<sup>12</sup>": "harbour[12]",
    "wall.<sup>3</sup>": "wall.[3]",
    "study<sup>1,2</sup>": "study[1,2]",
    "Registry<sup>New</sup>": "Registry New",
    "$19<sup>99</sup>": "$19.99",
    "14<sup>&deg;C</sup>": "14°C",
    "<sup>$</sup>899": "$899",
    "1 <sup>1</sup>/<sub>2</sub> cups": "1 1/2 cups",
    "1<sup>3</sup>&frasl;<sub>4</sub>": "1 3⁄4",
    "10<sup>3</sup>/<span>s</span>": "10^3/s",
    '3<i>\u2060<span class="num">1</span>&frasl;<span class="den">2</span></i>': "3 1/2",
    "20<sup>o</sup>C": "20°C",
    "20<sup>0</sup> F": "20° F",
    "the k<sup>th</sup> row": "the kth row",
    "<sup>99m</sup>Tc": "^{99m}Tc",
    "<sup>238</sup><sub>92</sub>U": "^238_92U",
    "10<sup>6 </sup>m": "10^6 m",
}

_MATHML = "<math><mi>a</mi><mo>=</mo><msup><mi>b</mi><mn>2</mn></msup></math>"
_TEX = "{\\displaystyle a=b^2}"
_NOTED = f'<annotation encoding="application/x-tex">{_TEX}</annotation></semantics></math>'
_KATEX = (
    f'<span class="katex"><span class="katex-mathml"><math><semantics><mrow><mi>a</mi></mrow>{_NOTED}</span>'
    '<span class="katex-html" aria-hidden="true"><span class="mord">a</span><span>=</span>b2</span></span>'
)
_SPOKEN = f'<span class="MJX_Assistive_MathML">{_MATHML}</span>'
_DRAWN = f'<span class="MathJax"><nobr>a=b2</nobr>{_SPOKEN}</span>'
_IMAGE = f'<img alt="{_TEX}" class="mwe-math-fallback-image-inline" src="https://wikimedia.org/a.svg">'
#: Formulas, as the programs that write them do.
FORMULAS = {
    _KATEX: "$a=b^2$",
    f'<span class="katex-display">{_KATEX}</span>': "$a=b^2$",
    '<span class="MathJax_Preview">a=b2</span><script type="math/tex">a=b^2</script>': "$a=b^2$",
    f'[<span class="MathJax_Preview">x</span>{_DRAWN}<script type="math/tex">a=b^2</script>]': "[$a=b^2$]",
    _DRAWN: "a = b^2",
    "<mjx-container><mjx-math>a=b2</mjx-math><mjx-assistive-mml>"
    f"{_MATHML}</mjx-assistive-mml></mjx-container>": "a = b^2",
    f'<span class="mwe-math-element"><span style="display: none;"><math alttext="{_TEX}"><semantics>'
    f"<mi>a</mi>{_NOTED}</span>{_IMAGE}</span>": "$a=b^2$",
    _IMAGE: "$a=b^2$",
    '<img src="https://s0.wp.com/latex.php?latex=a%3Db%5E2" alt="a=b^2" class="latex">': "$a=b^2$",
    '<math alttext="a=b^2"><semantics><mi>a</mi><annotation-xml encoding="MathML-Content"><eq/>'
    "</annotation-xml></semantics></math>": "$a=b^2$",
    _MATHML: "a = b^2",
    "<math><mfrac><mrow><mi>a</mi><mo>+</mo><mn>1</mn></mrow><mi>b</mi></mfrac></math>": "(a + 1)/b",
    "<math><mfenced open='['><mi>a</mi><mi>b</mi></mfenced></math>": "[a, b)",
    "<math><mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr><mtr><mtd><mn>3</mn></mtd><mtd>"
    "<mn>4</mn></mtd></mtr></mtable></math>": "1 2; 3 4",
    "<math><mn>2</mn><mspace/><mtext>if</mtext><mi>sin</mi><mo>&#8289;</mo><mi>x</mi></math>": "2 if sin x",
    "<math><mmultiscripts><mi>C</mi><mn>6</mn><none/><mprescripts/><none/><mn>14</mn></mmultiscripts>"
    "</math>": "^14C_6",
    "<math><mover><mi>x</mi><mo>→</mo></mover><mphantom><mi>z</mi></mphantom></math>": "x→",
    "<mml:math><mml:msup><mml:mi>x</mml:mi><mml:mn>2</mml:mn></mml:msup></mml:math>": "x^2",
    '<img class="math" src="_images/math/ab.png" alt="a=b^2">': "$a=b^2$",
    '<IMG ALT="$a=b^2$" SRC="img1.png">': "$a=b^2$",
    '<img src="https://www.zhihu.com/equation?tex=a" alt="a=b^2">': "$a=b^2$",
    '<img src="https://latex.codecogs.com/gif.latex?a" title="a=b^2">': "$a=b^2$",
    "<math><msqrt><mi>a</mi><mo>+</mo><mn>1</mn></msqrt></math>": "√(a + 1)",
}

BLANK = (
    "<pre>one line of code that is long\n   \n\t\nand another line</pre>",
    "<p>&nbsp;</p><p>\u200d</p>",
    "<p>\u3000\u2003</p><p>&#8203;</p><br> &nbsp; <br>",
    "<ul><li>&nbsp;</li><li>item</li></ul>",
    "<table><tr><td> &nbsp;</td><td>cell</td></tr></table>",
)


def article(inner: str) -> str:
    return (
        f"<html><head><title>Tides</title></head><body><article><h1>Tides</h1><p>{FILLER}</p>"
        f"<p>{FILLER} Start {inner} End of it. {FILLER}</p><p>{FILLER}</p></article></body></html>"
    )


def data(value: object, kind: str = 'type="application/ld+json"') -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"<html><head><script {kind}>{text}</script></head><body><div id=app>Loading</div></body></html>"


#: Pages whose article is data alone.
DATA = {
    "plain": data({"@type": "NewsArticle", "articleBody": BODY}),
    "graph": data({"@graph": [{"@type": "WebPage", "name": "x"}, {"articleBody": BODY}]}),
    "list": data(
        [{"a": 1}, {"mainEntity": {"hasPart": [{"articleBody": BODY}]}}], "type='application/ld+json' id=a"
    ),
    "html": data({"articleBody": f"<p>{BODY}</p><p>&amp; more</p>"}, "TYPE=application/ld+json"),
    "escaped": data({"articleBody": f"&lt;p&gt;{BODY}&lt;/p&gt;"}),
    "escapes": data(f'{{"articleBody": "{BODY} it\\\'s"}}'),
    "broken": data(f'//<![CDATA[\n{{"a": 1, "articleBody" : "{BODY}\n",}}//]]>'),
}
#: jusText finds no paragraph here, since all are short.
SHORT = (
    "<html><body><article>"
    + "".join(f"<p>Point {n}: the wall is built.</p>" for n in range(60))
    + "</article></body></html>"
)
#: A page full of text of which jusText keeps one paragraph, under a tenth.
PARTS = "".join(f"<div><a href='/{n}'>Part {n}</a>: wall, stone, harbour, council</div>" for n in range(150))
SPARSE = f"<html><body><article><p>{FILLER}</p>{PARTS}</article></body></html>"
#: Pages of menus, with one paragraph that all three extractors find, and with a word that jusText leaves out.
MENU = "".join(f"<li><a href='/{n}'>Harbour, wall and council {n}</a></li>" for n in range(300))
MENUS = f"<html><body><nav><ul>{MENU}</ul></nav><article><p>{FILLER}</p></article></body></html>"
MENUS_AND_WORD = MENUS.replace("</p></article>", "</p><p>Short.</p></article>")
HIDDEN = f"<html><body><p>{FILLER} &lt;/s&gt; {GERMAN * 40}</p></body></html>"
LABELS = (
    "<html><body><p>"
    + " ".join(f"__label__{word}" for word in (GERMAN * 9).split())
    + f" {FILLER[:90]}</p></body></html>"
)


class Page(NamedTuple):
    record: dict[str, Any]
    text: str | None
    extractor: str | None
    language: str | None


def refined(folder: Path, pages: dict[str, str], **recipe: Any) -> dict[str, Page]:
    """The pages through reading, extraction and the language rule, by their names."""
    folder.mkdir()
    with (folder / "a.warc.gz").open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for name, html in pages.items():
            http = StatusAndHeaders(
                "200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1"
            )
            payload = io.BytesIO(html.encode("utf-8", "surrogatepass"))
            url = f"https://example.org/{name}"
            writer.write_record(
                writer.create_warc_record(url, "response", payload=payload, http_headers=http)
            )
    made = Recipe.model_validate({"name": "t", "rules": [{"rule": "language.v1"}], **recipe})
    (unit,) = units_of(list_inputs([str(folder / "a.warc.gz")]), made, None)
    work = folder / "work"
    write_documents(unit, made, None, work, Heartbeat(folder / "progress", "0", unit.file.size))
    write_signals(
        work / "documents" / unit.documents, work / "signals.parquet", made.rules, None, folder / "tmp"
    )
    documents = {row["id"]: row for row in pq.read_table(work / "documents" / unit.documents).to_pylist()}
    signals = {row["id"]: row for row in pq.read_table(work / "signals.parquet").to_pylist()}
    out = {}
    for row in pq.read_table(work / "records" / unit.documents).to_pylist():
        document, signal = documents.get(row["id"], {}), signals.get(row["id"], {})
        name = row["url"].rpartition("/")[2]
        out[name] = Page(row, document.get("text"), document.get("extractor"), signal.get("language.label"))
    return out


TABLE = [*CHARACTERS.items(), *RAISED.items(), *FORMULAS.items()]


@pytest.fixture(scope="module", params=sorted(EXTRACTORS))
def alone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    pages = {f"t{n}": article(markup) for n, (markup, _) in enumerate(TABLE)}
    pages |= {f"b{n}": article(f"{blank} x") for n, blank in enumerate(BLANK)}
    pages |= {f"d-{name}": html for name, html in DATA.items()} | {"labels": LABELS}
    pages["wrapped"] = article("lines\nof the\r\nmarkup")
    folder = tmp_path_factory.mktemp("alone") / "run"
    return refined(folder, pages, extract={"extractors": [request.param]})


def test_characters_figures_and_formulas(alone: dict[str, Page]) -> None:
    wrong = []
    for n, (markup, wanted) in enumerate(TABLE):
        text = alone[f"t{n}"].text or ""
        found = " ".join(text.partition("Start ")[2].partition(" End")[0].split())
        if found != wanted or text.count("Tides") != 1 or len(text) < 800:
            wrong.append((markup, wanted, found))
    assert wrong == []


def test_no_line_is_white_space(alone: dict[str, Page]) -> None:
    for page in alone.values():
        for line in (page.text or "").split("\n"):
            assert line == "" or line.strip(" \t\xa0\u200b\u200c\u200d\u2003\u3000"), page
        assert "\n\n\n" not in (page.text or "")


def test_a_line_end_of_the_markup_is_a_space(alone: dict[str, Page]) -> None:
    assert "Start lines of the markup End" in (alone["wrapped"].text or "")


def test_articles_that_are_data_alone(alone: dict[str, Page]) -> None:
    for name in DATA:
        page = alone[f"d-{name}"]
        casualty = page.record["casualty"]
        if "trafilatura" not in (page.extractor or ""):  # which reads some of them itself
            assert (page.extractor or "").startswith("json_ld ")
            assert casualty.endswith(": empty") or casualty.endswith(" characters")
        assert page.text is not None, name
        assert page.text.startswith(BODY[:90]), name
        assert len(page.text) < len(BODY) + 20
        assert "<" not in page.text
    assert alone["d-html"].text is not None
    assert alone["d-html"].text.endswith("& more")


def test_words_that_look_like_labels_are_words(alone: dict[str, Page]) -> None:
    assert alone["labels"].language in {"de", None}


def test_who_gave_up_and_how(tmp_path: Path) -> None:
    pages = {
        "short": SHORT,
        "sparse": SPARSE,
        "nothing": "<html><body><p>.</p><p></p></body></html>",
    }
    pages |= {"menus": MENUS, "menus-and-word": MENUS_AND_WORD}
    pages |= {"good": article("x"), "blank": "<html><body><p> </p></body></html>", "hidden": HIDDEN}
    found = refined(
        tmp_path / "run", pages, extract={"extractors": ["justext", "trafilatura", "resiliparse"]}
    )
    assert found["good"].record["casualty"] is None
    assert (found["short"].extractor or "").startswith("trafilatura")
    assert found["short"].record["casualty"] == "justext: empty"
    assert "Point 59: the wall is built." in (found["short"].text or "")
    cause = f"justext: almost_empty: {len(FILLER.strip())} of "
    assert (found["sparse"].record["casualty"] or "").startswith(cause)
    assert "Part 149" in (found["sparse"].text or "")
    # Of texts that are all too short the longest is taken, the first of equals.
    for name, first in (("menus", "justext"), ("menus-and-word", "resiliparse")):
        assert (found[name].record["casualty"] or "").count("almost_empty") == 3
        assert (found[name].extractor or "").startswith(first)
    blank = found["blank"].record
    assert (blank["outcome"], blank["stage"], blank["rule"]) == ("dropped", "extract", "empty")
    assert blank["casualty"] == "justext: empty; trafilatura: empty; resiliparse: empty"
    # jusText's stop list is that of the language of the whole page, which `</s>` would hide.
    assert found["hidden"].language == "de"
    assert found["hidden"].record["casualty"] is None


def test_the_prefilter_sees_what_is_behind_an_end_of_line(tmp_path: Path) -> None:
    page = f"<html><body><p>{GERMAN[:60]} &lt;/s&gt; {FILLER * 9}</p></body></html>"
    foreign = f"<html><body><p>&lt;/s&gt; {GERMAN * 20}</p></body></html>"
    prefilters = [{"rule": "lang_prefilter.v1", "languages": ["en"]}]
    pages = {"english": page, "german": foreign}
    found = refined(tmp_path / "run", pages, prefilters=prefilters, extract={"extractors": ["resiliparse"]})
    assert found["english"].text is not None
    assert found["german"].record["rule"] == "lang_prefilter.v1.min_score"
