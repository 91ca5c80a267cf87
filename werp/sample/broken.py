"""Pages with broken markup that still hold an article, and pages that hold no text at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from werp.sample.cases import Case, html_case
from werp.sample.pages import body_html, frame
from werp.sample.prose import Page, Site

_EMPTY = "dropped extract empty"


def broken_cases(pages: Mapping[str, Page], site: Site) -> list[Case]:
    """Articles in markup that a parser has to mend; each is edited, so none is a duplicate."""

    def text_of(path: str) -> tuple[str, str]:
        page = pages[path]
        first = replace(page, blocks=(f"From the archive of {site.name}.", *page.blocks))
        return page.title, body_html(first)

    cases = []

    def add(path: str, html: str, why: str) -> None:
        url = f"https://{site.host}/archive/{path}"
        cases.append(html_case(url, html, "kept", why, "broken markup"))

    title, body = text_of("/archive/the-road-of-salt")
    unclosed = re.sub("</(p|h1|li|body|html|article|main)>", "", frame(site, title, body))
    add("unclosed", unclosed, "paragraphs, article and body are never closed")

    title, body = text_of("/archive/letters-by-pigeon")
    add("nulls", frame(site, title, body.replace(". ", ".\0 ")), "a stray NUL after each sentence")

    title, body = text_of("/trips/three-days-on-the-ridge")
    nested = "<table><tr><td>" * 30 + body + "</td></tr></table>" * 30
    add("nested-tables", frame(site, title, nested), "the text lies in thirty nested tables")

    title, body = text_of("/sport/the-longest-lap")
    deep = body + "<div>" * 3000 + "<p>The end.</p>" + "</div>" * 3000
    add("deep", frame(site, title, deep), "three thousand nested divs follow the article")

    title, body = text_of("/archive/a-bridge-built-twice")
    crossed = body.replace("<p>", "<p><b><i>").replace("</p>", "</b></p></i>")
    add("crossed", frame(site, title, crossed), "bold, italic and paragraphs are closed in the wrong order")

    title, body = text_of("/stories/the-knife-my-father-left")
    add("fragment", f"<title>{title}</title><h1>{title}</h1>{body}", "no html, head or body element")

    title, body = text_of("/town/counting-the-trees")
    odd = body.replace("<p>", '<p class="a" class=b onclick=go("x" <style= id=\'>').replace(
        "</p>", "</p></font></span>"
    )
    odd = odd.replace("&#x27;", "&rsquo")
    add(
        "attributes",
        frame(site, title, odd),
        "doubled and unclosed attributes, stray end tags, an entity cut short",
    )

    title, body = text_of("/how-to/what-salt-does-to-meat")
    boilerplate = "\n".join(f'<li><a href="/tag/{n}">Tag number {n}</a></li>' for n in range(400))
    heavy = f'{body}\n<div class="tagcloud sidebar"><ul>{boilerplate}</ul></div>'
    add("tag-cloud", frame(site, title, heavy), "four hundred links of boilerplate beside the article")
    return cases


def empty_cases(site: Site) -> list[Case]:
    """HTML without text."""
    shell = '<!DOCTYPE html><html><head><script src="/app.js"></script></head><body><div id="root"></div></body></html>'
    frames = '<html><frameset cols="20%,80%"><frame src="menu.html"><frame src="main.html"></frameset></html>'
    pictures = "<html><body>" + '<img src="/p.jpg" width="80">' * 40 + "</body></html>"
    return [
        html_case(
            f"https://{site.host}/app", shell, _EMPTY, "an application shell filled by a script", "empty"
        ),
        html_case(f"https://{site.host}/frames", frames, _EMPTY, "a frame set", "empty"),
        html_case(f"https://{site.host}/pictures", pictures, _EMPTY, "pictures without a word", "empty"),
    ]
