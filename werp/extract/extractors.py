"""The extractors a recipe can name: HTML text in, plain text out, by the same rules around every library.

Each is a pydantic model whose fields are the options the recipe may set; `extract` is
pure (the same page gives the same text whatever came before it, so nothing here may keep
state between pages) and `version` names library and release, since text follows both.
The libraries are imported on first use: a run pays only for what its recipe names.
"""

from __future__ import annotations

import functools
import re
from importlib.metadata import version
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from werp.extract.characters import cleaned, tidy
from werp.extract.embedded import embedded_articles
from werp.extract.markup import prepared
from werp.extract.stoplists import STOPLIST_OF_LANGUAGE
from werp.language import identify

_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


class Extractor(BaseModel):
    """Base of the extractors. To add one: a subclass with a `name` literal, listed in `AnyExtractor`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    package: ClassVar[str]

    name: str

    @property
    def version(self) -> str:
        """`name library release`, as the documents table stores it."""
        return f"{self.name} {version(self.package)}"

    def warm_up(self) -> None:
        """Import what `extract` needs, before the first page is timed."""

    def extract(self, html: str, url: str | None) -> str:
        """The page's main text, blocks separated by newlines; empty when there is none.

        What the libraries differ in or choke on is settled around them: `werp.extract.markup` before,
        `werp.extract.characters` after. Raises whatever the library raises: the guard makes it a casualty.
        """
        return tidy(self.text_of(prepared(html), url))

    def text_of(self, html: str, url: str | None) -> str:
        """What the library itself makes of prepared markup."""
        raise NotImplementedError


class Trafilatura(Extractor):
    """trafilatura (Barbaresi 2021), FineWeb's extractor and the default."""

    package: ClassVar[str] = "trafilatura"

    name: Literal["trafilatura"] = "trafilatura"
    include_comments: bool = Field(False, description="keep reader comments")
    include_tables: bool = Field(True, description="keep the text of tables")
    favor_precision: bool = Field(False, description="less text, fewer mistakes")
    favor_recall: bool = Field(False, description="more text, more mistakes")
    deduplicate: bool = Field(False, description="drop segments repeated within the page")

    def warm_up(self) -> None:
        """Import trafilatura (about a second)."""
        _trafilatura()

    def text_of(self, html: str, url: str | None) -> str:
        """See `Extractor.text_of`."""
        trafilatura = _trafilatura()
        from trafilatura.deduplication import LRUCache  # noqa: PLC0415

        text = trafilatura.extract(
            html,
            url=url,
            include_comments=self.include_comments,
            include_tables=self.include_tables,
            favor_precision=self.favor_precision,
            favor_recall=self.favor_recall,
            # A cache of its own for each page: the library's default one is global, so that a
            # page's text would depend on the pages this process happened to see before.
            deduplicate=LRUCache(maxsize=4096) if self.deduplicate else False,
        )
        return text or ""


@functools.cache
def _trafilatura() -> Any:
    """The library, with its XPath expressions compiled and our characters in place of `str.isprintable`.

    That takes out the joiners of Persian and letters that are newer than the interpreter.
    """
    import trafilatura  # noqa: PLC0415
    from trafilatura import baseline, utils, xpaths  # noqa: PLC0415

    from werp.extract.xpaths import install, plain_elements  # noqa: PLC0415

    install(xpaths)
    plain_elements(utils.HTML_PARSER)
    for module in (utils, baseline):
        module.remove_control_characters = _cleaned_piece
    utils.INVALID_XML_CHARS = _Harmless()
    return trafilatura


class _Harmless:
    """In place of the library's own pattern, a twentieth of its time: `prepared` has been over the page."""

    def sub(self, replacement: str, html: str) -> str:
        return html


def _cleaned_piece(text: str) -> str:
    # A printable text has nothing to lose but U+FFFC, which `tidy` takes; nearly every piece is one.
    return text if text.isprintable() else cleaned(text)


class JusText(Extractor):
    """jusText (Pomikálek 2011), the winner of the Blu-WERP paper's comparison; library defaults.

    The stop list is that of the page's language, which lid.176 finds on the text of all its
    paragraphs. For a language without a list both stop-word thresholds are 0, the
    algorithm's own language-independent mode: without it every Japanese or Thai page is lost.
    """

    package: ClassVar[str] = "jusText"

    name: Literal["justext"] = "justext"
    length_low: int = Field(70, description="characters under which a block is short")
    length_high: int = Field(200, description="characters over which a block can be good alone")
    stopwords_low: float = Field(0.30, description="stop-word share of a near-good block")
    stopwords_high: float = Field(0.32, description="stop-word share of a good block")
    max_link_density: float = Field(
        0.2, description="share of characters in links above which a block is bad"
    )
    max_heading_distance: int = Field(200, description="characters between a heading and its text")
    no_headings: bool = Field(False, description="treat headings as any block")
    stoplist: str | None = Field(
        None, description="a jusText stop list by name, e.g. English; default by page"
    )

    def warm_up(self) -> None:
        """Import jusText, load the language model."""
        _justext()
        identify("")

    def text_of(self, html: str, url: str | None) -> str:
        """See `Extractor.text_of`."""
        core = _justext()
        # lxml refuses text that carries an XML encoding declaration; the text is decoded already.
        dom = core.preprocessor(core.html_to_dom(_XML_DECLARATION.sub("", html, count=1)))
        paragraphs = core.ParagraphMaker.make_paragraphs(dom)
        name = self.stoplist or STOPLIST_OF_LANGUAGE.get(
            identify(" ".join(p.text for p in paragraphs))[0] or ""
        )
        stop_words = _stop_words(name) if name else frozenset[str]()
        low, high = (self.stopwords_low, self.stopwords_high) if name else (0.0, 0.0)
        core.classify_paragraphs(
            paragraphs, stop_words, self.length_low, self.length_high, low, high, self.max_link_density,
            self.no_headings,
        )  # fmt: skip
        core.revise_paragraph_classification(paragraphs, self.max_heading_distance)
        return "\n".join(_shown(p) for p in paragraphs if not p.is_boilerplate)


def _shown(paragraph: Any) -> str:
    """A block's text; a line end of the markup is a space, as in browsers, but in preformatted text."""
    text: str = paragraph.text
    return text if "pre" in paragraph.dom_path.split(".") else text.replace("\n", " ")


@functools.cache
def _justext() -> Any:
    """The library's core; a paragraph joins its text once and not each time that it is asked for it."""
    from justext import core, paragraph  # noqa: PLC0415

    joined = functools.cached_property(paragraph.Paragraph.text.fget)
    joined.__set_name__(paragraph.Paragraph, "text")
    paragraph.Paragraph.text = joined
    return core


@functools.cache
def _stop_words(name: str) -> frozenset[str]:
    """A list of the library's, read once a process and not once a page."""
    from justext.utils import get_stoplist  # noqa: PLC0415

    words: frozenset[str] = get_stoplist(name)
    return words


class Resiliparse(Extractor):
    """resiliparse's main-content text (Bevendorff et al. 2018), DCLM's extractor and the fastest.

    Unlike the library, alternative texts of images are left out: on 100 pages with gold text
    the mean word F1 was 0.761 without them, 0.753 with.
    """

    package: ClassVar[str] = "Resiliparse"

    name: Literal["resiliparse"] = "resiliparse"
    main_content: bool = Field(True, description="main content only, by the library's heuristics")
    alt_texts: bool = Field(False, description="keep alternative texts of images")
    comments: bool = Field(True, description="keep comment sections")

    def warm_up(self) -> None:
        """Import resiliparse."""
        import resiliparse.extract.html2text  # noqa: F401, PLC0415

    def text_of(self, html: str, url: str | None) -> str:
        """See `Extractor.text_of`."""
        from resiliparse.extract.html2text import extract_plain_text  # noqa: PLC0415

        text: str = extract_plain_text(
            html, main_content=self.main_content, alt_texts=self.alt_texts, comments=self.comments
        )
        return text


class JsonLd(Extractor):
    """A page's articles in JSON-LD: the guard's last resort, which no recipe names."""

    package: ClassVar[str] = "blu-werp"

    name: Literal["json_ld"] = "json_ld"

    def text_of(self, html: str, url: str | None) -> str:
        """See `Extractor.text_of`."""
        return embedded_articles(html)


AnyExtractor = Annotated[Trafilatura | JusText | Resiliparse, Field(discriminator="name")]
EXTRACTORS: dict[str, type[Extractor]] = {
    "trafilatura": Trafilatura,
    "justext": JusText,
    "resiliparse": Resiliparse,
}
