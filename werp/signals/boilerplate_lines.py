"""Rule `boilerplate_lines.v1`: lines that are the page's furniture, in eleven named classes.

The idea is FLUX's (arXiv 2603.13972: cookie banners, social counters, breadcrumbs, form labels, script leftovers
among eleven classes of line rules); its patterns are not public, so these are our own, tuned on extracted pages
beside their gold text (`docs/quality.md` says what they take out of either). Each class looks at a line as a
whole: a sentence that mentions cookies stays. What is taken out is a span under its class's name, so a run counts
each class and gives every line back.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, field_validator

from werp.edits import Span
from werp.errors import nearest
from werp.signals.base import Check, EditRule
from werp.signals.batch import TextBatch
from werp.signals.lines import lines_of

_NAME = "boilerplate_lines.v1"
_LONGEST = 300  # characters of a line that is looked at: a longer one is prose, or not ours to judge

_NETWORKS = (
    "facebook|twitter|x|linkedin|pinterest|whatsapp|reddit|instagram|youtube|tumblr|telegram|tiktok|email"
)
_COUNTED = "likes?|shares?|comments?|views?|followers?|retweets?|reposts?|upvotes?|replies|reviews?|votes?|downloads?"
_MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"


def _line(*forms: str) -> re.Pattern[str]:
    """A whole line in one of these forms."""
    return re.compile(rf"\A(?:{'|'.join(forms)})\Z", re.S)


#: Class: what a whole line, in lower case and without marks at its ends, has to be. White space goes to one part
#: alone (possessive), so that no line can be cut up in many ways.
CLASSES: dict[str, re.Pattern[str]] = {
    "cookie_banner": _line(
        r"(?:(?:we|this (?:web)?site|our (?:web)?site|this page) (?:also )?uses? (?:\w+ )?cookies\b.*"
        r"\b(?:experience|(?:web)?site|ads|advert\w*|traffic|analy\w+|personali\w+|policy|consent)\b.*"
        r"|(?:accept|allow|reject|decline|manage|customi[sz]e)(?: all| only)?(?: necessary| essential)? cookies?"
        r"|cookie (?:settings|preferences|policy|notice|consent)"
        r"|by (?:continuing|using|clicking|browsing)\b.*\bcookies\b.*)"
    ),
    "social_counter": _line(
        rf"\d[\d.,]*+(?:\s*+(?:[km]\+?|\+))?+\s++(?:{_COUNTED})(?:\s*+(?:[|•·,]\s*+)?\d[\d.,]*+[km]?\s++(?:{_COUNTED}))*"
    ),
    "share_buttons": _line(
        rf"(?:(?:share|tweet|pin|follow)(?: (?:this|us|me|it|the))?(?: (?:article|post|page|story))?(?: (?:on|via|with|to|by))?"
        rf"(?: (?:{_NETWORKS}|friends))*|(?:share|follow us|tweet|pin it)?[:\s]*(?:(?:{_NETWORKS})[\s,|/•·]+)+(?:{_NETWORKS}))"
    ),
    # Possessive, and no separator within a part: a line of separators costs no more than any other.
    "breadcrumb": _line(
        r"(?:home|start|index)(?:\s*+(?:[>»›→/]|::)\s*+(?:[^>»›→/:]|:(?!:)){1,60}+){1,8}+|you are here:?.{0,120}"
    ),
    "script_leftover": _line(
        r"(?:(?:window\.(?:datalayer|adsbygoogle|_\w+)|document\.write|gtag|googletag|_gaq|fbq|jquery\s*\(document).*"
        r"|.{0,80}\b(?:enable|turn on|activate) javascript\b.{0,120}|javascript is (?:disabled|required|not enabled).{0,80}"
        r"|(?:<!--|/?/?<!\[cdata\[|@media\s*(?:screen|print|\(|only)|@import\s|@font-face).*)"
    ),
    "form_label": _line(
        r"(?:your )?(?:first name|last name|your name|e-?mail address|your e-?mail|phone number"
        r"|zip code|confirm password|search(?: for| this site)?|captcha)(?: ?\(?(?:required|optional)\)?| ?\*)?"
        r"|(?:search|log in|log out|sign in|sign up|forgot (?:your )?password"
        r"|remember me|save my name, email, and website.*|required fields are marked.*|your email address will not be.*)"
    ),
    "newsletter": _line(
        r"(?:subscribe|sign up|register|join)(?: now| today| here)?(?: (?:to|for|up for) (?:our|the|my|free)[\w\s]{0,40}"
        r"(?:newsletter|mailing list|updates|feed|list|news))?(?: today| now)?"
        r"|(?:get|receive) (?:our|the|all the)? ?(?:latest|newest)?[\w\s]{0,30}(?:in|to) your inbox.{0,30}"
    ),
    "navigation": _line(
        r"(?:skip to (?:main )?(?:content|navigation)|back to (?:the )?top|(?:main |toggle )?(?:menu|navigation)"
        r"|previous(?: (?:post|article|page|story))?|next(?: (?:post|article|page|story))?|older posts|newer posts"
        r"|(?:« ?|< ?)?prev(?:ious)?(?: \| next| next)?|page \d+ of \d+|load more|show more|show less|view all|see all|see more"
        r"|home|about us|contact us|sitemap)"
    ),
    "read_more": _line(
        r"(?:(?:click here to )?(?:read|learn|find out|view|see) more[.…» >]*"
        r"|continue reading.{0,80}|(?:full|read the full) (?:article|story|post)(?: here)?|related (?:articles?|posts?|stories)"
        r"|you (?:may|might) also (?:like|enjoy|be interested in).{0,30}|recommended for you|more from .{1,40})"
    ),
    "legal_footer": _line(
        r"(?:(?:copyright|©|\(c\))\s*+(?:(?:©|\(c\))\s*+)?(?:\d{4}.{0,100}|.{0,60}\d{4}.{0,60}|.{0,60}all rights reserved)"
        r"|all rights reserved.{0,60}|privacy (?:policy|notice|statement)|terms (?:of (?:use|service)|(?:and|&) conditions)"
        r"|(?:privacy policy|terms of (?:use|service)|cookie policy|disclaimer|contact us|sitemap)(?:\s*+[|•·]\s*+\w(?:\s*+\w){1,29}+)+"
        r"|powered by (?:wordpress|blogger|drupal|joomla|shopify|disqus|vbulletin|phpbb).{0,40})"
    ),
    "post_meta": _line(
        rf"(?:(?:posted|published|updated|last (?:updated|modified)|filed)(?: (?:on|by|in|at|under):?)?:? .{{0,20}}(?:\d{{4}}|(?:{_MONTH})\w{{0,10}}).{{0,40}}"
        r"|(?:tags?|categor(?:y|ies)|filed under|tagged(?: with)?|labels):.{0,120}|leave a (?:reply|comment)|\d+ (?:comments?|responses?) (?:to|on).{0,120}"
        r"|(?:report|permalink|reply|email this|print this page)(?: ?[|•·] ?(?:report|permalink|reply|quote|edit|share|print))*"
        r"|\d+ min(?:ute)?s? read|advertisements?|sponsored(?: content)?)"
    ),
}  # fmt: skip
_ENDS = "? \t\r\n\v\f\u00a0*#|>-–—•·:.…!»«✓×✕[]()"


class BoilerplateLines(EditRule):
    """Edits: whole lines of the classes named in `classes`.

    Signals: boilerplate_lines.<class> (int64): lines taken out; boilerplate_lines.removed_char_ratio (float64):
    their characters / characters before, null for an empty text.
    """

    rule: Literal["boilerplate_lines.v1"] = "boilerplate_lines.v1"
    classes: tuple[str, ...] = Field(tuple(CLASSES), min_length=1, description="classes of lines taken out")
    max_removed_char_ratio: float | None = Field(
        None, ge=0, le=1, description="drop a page of which more is furniture"
    )

    @field_validator("classes")
    @classmethod
    def _classes_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in CLASSES:
                raise ValueError(f"no class {name!r}{nearest(name, CLASSES)}")
        return value

    def edit_parameters(self) -> dict[str, Any]:
        """The classes; their patterns are in the package's sources, which the key covers."""
        return {"classes": sorted(self.classes)}

    def measure_edits(
        self, before: TextBatch, spans: list[list[Span]], after: TextBatch
    ) -> dict[str, pa.Array]:
        """See the class."""
        columns = {
            f"boilerplate_lines.{name}": pa.array(
                [sum(span.rule == f"{_NAME}.{name}" for span in own) for own in spans], pa.int64()
            )
            for name in CLASSES
            if name in self.classes
        }
        shares = [
            sum(span.end - span.start for span in own) / len(text) if text else None
            for text, own in zip(before.texts, spans, strict=True)
        ]
        return {**columns, "boilerplate_lines.removed_char_ratio": pa.array(shares, pa.float64())}

    def checks(self) -> list[Check]:
        """The share taken out, where a limit is set."""
        if self.max_removed_char_ratio is None:
            return []
        signal = "boilerplate_lines.removed_char_ratio"
        return [Check("max_removed_char_ratio", signal, ">", self.max_removed_char_ratio)]

    def edits_of(self, text: str) -> list[Span]:
        """See `EditRule.edits_of`."""
        spans = []
        for line in lines_of(text, newline_only=True):
            name = class_of(line.text)
            if name in self.classes:
                spans.append(Span(line.start, line.after, f"{_NAME}.{name}"))
        return spans


def class_of(line: str) -> str | None:
    """The first class that a line is of; None for a line that says something.

    >>> class_of("Home » News » Sport"), class_of("Cookies are baked at 180 °C.")
    ('breadcrumb', None)
    """
    # An indented line is most often code, of which `Email:` or `@media` may be a good part.
    if not line or len(line) > _LONGEST or line[0] in " \t":
        return None
    bare = line.strip(_ENDS).lower()
    if not bare:
        return None
    return next((name for name, pattern in CLASSES.items() if pattern.fullmatch(bare)), None)
