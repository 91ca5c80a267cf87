"""Prefilters: pages skipped before extraction, which is most of a run's time. Each is a rule of its own.

A page skipped is a ledger row of stage `prefilter` with the value and the threshold; it has no document. The
address and the kind of a page are looked at where records are read; its language inside the guarded child
process, since the text has to be taken from a stranger's HTML first.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from werp.extract.sparse import shown_text
from werp.language import find_model, scores
from werp.signals.url import Url, UrlLists

_SAMPLE = 1500  # characters of the first look at a page's language


class Skipped(NamedTuple):
    """Why a page is not extracted: `rule` as the ledger names it, the value, the threshold."""

    rule: str
    value: str
    threshold: str | None


class Prefilter(BaseModel):
    """Base of the prefilters, which look at one page each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: str

    def key_parameters(self) -> dict[str, Any]:
        """What the choice of pages follows from: it enters the key of the documents table."""
        return self.model_dump(mode="json")


class PagePrefilter(Prefilter):
    """A prefilter that needs the page's address, stated type and bytes alone."""

    def skips(self, url: str, mime: str | None, html: bytes) -> Skipped | None:
        """Why the page is skipped, or None."""
        raise NotImplementedError


class UrlPrefilter(UrlLists, PagePrefilter):
    """`url.v1` before extraction: same lists, same order."""

    rule: Literal["url_prefilter.v1"] = "url_prefilter.v1"

    def key_parameters(self) -> dict[str, Any]:
        """The lists' contents and the number of soft words."""
        return self._rule.measure_parameters() | {"rule": self.rule, "max_soft_words": self.max_soft_words}

    def skips(self, url: str, mime: str | None, html: bytes) -> Skipped | None:
        """See `PagePrefilter.skips`."""
        found = self._rule.verdict(url)
        if found is None:
            return None
        check, value = found
        threshold = None if check.threshold is None else str(check.threshold)
        return Skipped(f"{self.rule}.{check.key}", value, threshold)

    def lists_read(self) -> dict[str, dict[str, int]]:
        """See `Url.lists_read`."""
        return self._rule.lists_read()

    def model_post_init(self, context: Any) -> None:
        """Make the rule once: it keeps its lists."""
        object.__setattr__(self, "_url", Url(**self.model_dump(exclude={"rule"})))

    @property
    def _rule(self) -> Url:
        return self.__dict__["_url"]  # type: ignore[no-any-return]


Kind = Literal["application/pdf", "image", "application/zip", "application/json", "feed"]
#: The first bytes of what servers send as HTML though it is none.
_MAGIC: tuple[tuple[Kind, re.Pattern[bytes]], ...] = (
    ("application/pdf", re.compile(rb"%PDF-")),
    ("image", re.compile(rb"\x89PNG|GIF8[79]a|\xff\xd8\xff|RIFF....WEBP", re.S)),
    ("application/zip", re.compile(rb"PK\x03\x04|Rar!|7z\xbc\xaf")),
    ("application/json", re.compile(rb'\A(?:\xef\xbb\xbf)?\s*+(?:\{\s*+"|\[\s*+[{\["])')),
    (
        "feed",
        re.compile(
            rb"\A(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+)?+(?:<!--(?:[^-]|-(?!->))*+-->\s*+)*+"
            rb"<(?:rss|feed|rdf:RDF|urlset|sitemapindex)[\s>]"
        ),
    ),
)


class MimePrefilter(PagePrefilter):
    """What a page is by its first bytes, whatever type its server stated: PDF, image, archive, JSON, feed."""

    rule: Literal["mime_prefilter.v1"] = "mime_prefilter.v1"
    skip: tuple[Kind, ...] = Field(tuple(kind for kind, _ in _MAGIC), description="kinds that are skipped")

    def skips(self, url: str, mime: str | None, html: bytes) -> Skipped | None:
        """See `PagePrefilter.skips`."""
        for kind, magic in _MAGIC:
            if kind in self.skip and magic.match(html, 0, 4096):
                return Skipped(f"{self.rule}.skip", kind, ",".join(self.skip))
        return None


class LanguagePrefilter(Prefilter):
    """Skip pages whose whole text, menus and all, is almost surely in none of the languages.

    The text is resiliparse's plain text of the page. The value is the greatest probability that lid.176 gives
    one of the languages, on 1,500 characters from the middle; where that is under the threshold the whole
    text is asked too and the greater value counts. It is far below what `language.v1` asks of extracted text.
    On 1,160 real pages 0.02 skips 372 of the 420 that `language.v1` drops and one of the 740 it keeps.
    """

    rule: Literal["lang_prefilter.v1"] = "lang_prefilter.v1"
    languages: tuple[str, ...] = Field(("en",), min_length=1, description="labels that are kept")
    min_score: float = Field(0.02, gt=0, le=1, description="skip the page when all are less probable")
    min_chars: int = Field(200, ge=0, description="a page with less text is not judged")
    model: str | None = Field(None, description="path of a fastText model; default lid.176")

    def key_parameters(self) -> dict[str, Any]:
        """The model's hash instead of its path."""
        digest = hashlib.sha256(Path(find_model(self.model)).read_bytes()).hexdigest()
        return self.model_dump(mode="json") | {"model": digest}

    def warm_up(self) -> None:
        """Import resiliparse, load the language model."""
        import resiliparse.extract.html2text  # noqa: F401, PLC0415

        scores("", self.languages, self.model)

    def skips_text(self, html: str) -> Skipped | None:
        """Why the page is skipped, or None, also for a page without text."""
        text = shown_text(html)
        if len(text) < self.min_chars:
            return None
        middle = max(0, (len(text) - _SAMPLE) // 2)
        value = max(scores(text[middle : middle + _SAMPLE], self.languages, self.model))
        if value < self.min_score and len(text) > _SAMPLE:
            value = max(value, *scores(text, self.languages, self.model))
        if value >= self.min_score:
            return None
        return Skipped(f"{self.rule}.min_score", f"{value:.6f}", str(self.min_score))


AnyPrefilter = Annotated[UrlPrefilter | MimePrefilter | LanguagePrefilter, Field(discriminator="rule")]
