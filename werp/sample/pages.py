"""HTML as real sites write it: three layouts around the same blocks of prose.

`magazine` is semantic HTML 5, `portal` a soup of divs, `tables` a page of the year 2000.
Around the text stands what an extractor has to tell from it: navigation, side bar, cookie
notice, scripts, comments of readers, JSON-LD, footer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape

from werp.sample.prose import Page, Site, verdict

_NO_VERDICT = verdict("kept", "")
_REMARKS = (
    ("Thank you for this. I sent it to my sister.", "reader_71"),
    ("First! And also: lovely.", "quickthumb"),
    ("There is a typo in the third paragraph, I think.", "red_pencil"),
)


def body_html(page: Page) -> str:
    """The page's blocks as HTML, without the title."""
    parts = []
    in_post = False
    for block in page.blocks:
        if block.startswith("@"):
            name, _, text = block[1:].partition("\n")
            parts.append("</div>" if in_post else "")
            parts.append(f'<div class="message"><div class="who">{escape(name)}</div>\n<p>{escape(text)}</p>')
            in_post = True
        else:
            parts.append(_block_html(block))
    return "\n".join([*filter(None, parts), *(["</div>"] if in_post else [])])


def _block_html(block: str) -> str:
    lines = block.splitlines()
    if block.startswith("## "):
        return f"<h2>{escape(block[3:])}</h2>"
    if block.startswith("- "):
        return "<ul>\n" + "\n".join(f"<li>{escape(line[2:])}</li>" for line in lines) + "\n</ul>"
    if block.startswith("| "):
        rows = ([cell.strip() for cell in line.strip("| ").split("|")] for line in lines)
        return "<table>\n" + "\n".join(map(_row_html, rows)) + "\n</table>"
    return f"<p>{escape(block)}</p>"


def _row_html(cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def render(page: Page, related: Sequence[Page] = (), charset: str = "utf-8") -> str:
    """The whole page in its site's layout; `charset` is what its meta element claims ("" for none)."""
    layout = {"magazine": _magazine, "portal": _portal, "tables": _tables}[page.site.layout]
    return layout(page, body_html(page), related, charset)


def frame(site: Site, title: str, body: str, path: str = "/") -> str:
    """A page of `site` around a body that was made elsewhere."""
    bare = Page(
        site=site, path=path, title=title, kind="page", author="", date="2026-01-14", price="",
        charset="utf-8 meta", coding="", blocks=(), verdict=_NO_VERDICT,
    )  # fmt: skip
    return {"magazine": _magazine, "portal": _portal, "tables": _tables}[site.layout](bare, body, (), "utf-8")


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower())


def _links(site: Site) -> str:
    return "\n".join(f'<li><a href="/{_slug(entry)}/">{escape(entry)}</a></li>' for entry in site.nav)


def _related(related: Sequence[Page]) -> str:
    return "\n".join(f'<li><a href="{page.path}">{escape(page.title)}</a></li>' for page in related)


def _json_ld(page: Page) -> str:
    facts = {
        "@context": "https://schema.org",
        "@type": "Product" if page.kind == "shop" else "Article",
        "name": page.title,
        "datePublished": page.date,
        "publisher": {"@type": "Organization", "name": page.site.name},
    }
    return f'<script type="application/ld+json">{json.dumps(facts, ensure_ascii=False)}</script>'


def _remarks(page: Page) -> str:
    if page.kind != "article" or page.site.language != "en":
        return ""
    items = "\n".join(
        f'<li class="comment"><span class="comment-author">{who}</span><p>{escape(text)}</p></li>'
        for text, who in _REMARKS
    )
    return f'<section id="comments" class="comments"><h3>Comments</h3>\n<ol>\n{items}\n</ol></section>'


def _magazine(page: Page, body: str, related: Sequence[Page], charset: str) -> str:
    site = page.site
    meta = f'<meta charset="{charset}">' if charset else ""
    notice = f'<div id="cookie-banner" role="dialog">{escape(site.cookies)}</div>' if site.cookies else ""
    return f"""<!DOCTYPE html>
<html lang="{site.language}">
<head>
{meta}
<title>{escape(page.title)} | {escape(site.name)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta property="og:title" content="{escape(page.title)}">
<meta property="og:site_name" content="{escape(site.name)}">
<link rel="canonical" href="{page.url}">
<link rel="stylesheet" href="/static/site.css">
{_json_ld(page)}
<script>window.dataLayer = window.dataLayer || []; function track(e) {{ dataLayer.push(e); }}</script>
</head>
<body class="single">
{notice}
<header class="site-header"><a class="logo" href="/">{escape(site.name)}</a>
<nav><ul>
{_links(site)}
</ul></nav></header>
<main>
<article>
<h1>{escape(page.title)}</h1>
<!-- begin text -->
{body}
<!-- end text -->
</article>
{_remarks(page)}
</main>
<aside class="sidebar"><ul>
{_related(related)}
</ul></aside>
<footer><p>&copy; 2026 {escape(site.name)}. {escape(site.tagline)}.</p></footer>
<script src="/static/site.js" async></script>
</body>
</html>
"""


def _portal(page: Page, body: str, related: Sequence[Page], charset: str) -> str:
    site = page.site
    meta = f'<meta http-equiv="Content-Type" content="text/html; charset={charset}" />' if charset else ""
    price = (
        f'<div class="price"><span>&euro; {page.price}</span> <button>+</button></div>' if page.price else ""
    )
    return f"""<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" lang="{site.language}">
<head>{meta}
<title>{escape(page.title)} - {escape(site.name)}</title>
<meta name="description" content="{escape(site.tagline)}" />
<style type="text/css">#wrap {{ width: 960px; margin: 0 auto }} .menu li {{ float: left }}</style>
</head>
<body>
<div id="wrap">
  <div id="header"><div class="brand"><a href="/">{escape(site.name)}</a></div>
  <div class="menu"><ul>
{_links(site)}
  </ul></div></div>
  <div class="breadcrumb"><a href="/">{escape(site.name)}</a> &raquo; <a href="#">{escape(page.title)}</a></div>
  <div id="content" class="post-content">
    <h1>{escape(page.title)}</h1>
    {price}
    <div class="entry-content">
{body}
    </div>
  </div>
  {_remarks(page)}
  <div id="sidebar" class="widget"><ul>
{_related(related)}
  </ul></div>
  <div id="footer" class="footer">&copy; 2026 {escape(site.name)}</div>
  <div class="cookie-notice" style="position:fixed;bottom:0">{escape(site.cookies)}</div>
</div>
<script type="text/javascript">
/* <![CDATA[ */
document.getElementById('wrap').className += ' ready';
/* ]]> */
</script>
</body>
</html>
"""


def _tables(page: Page, body: str, related: Sequence[Page], charset: str) -> str:
    site = page.site
    meta = f'<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset={charset}">' if charset else ""
    return f"""<HTML>
<HEAD>
{meta}
<TITLE>{escape(site.name)}: {escape(page.title)}</TITLE>
</HEAD>
<BODY BGCOLOR="#FFFFF0" TEXT="#202020">
<CENTER><FONT FACE="Verdana" SIZE="5"><B>{escape(site.name)}</B></FONT></CENTER>
<TABLE WIDTH="100%" BORDER="0" CELLPADDING="6">
<TR><TD WIDTH="160" VALIGN="top" BGCOLOR="#E0E0C0"><UL>
{_links(site)}
</UL><HR><UL>
{_related(related)}
</UL></TD>
<TD VALIGN="top">
<H1>{escape(page.title)}</H1>
{body}
</TD></TR>
<TR><TD COLSPAN="2" ALIGN="center"><FONT SIZE="1">{escape(site.tagline)}</FONT></TD></TR>
</TABLE>
</BODY>
</HTML>
"""
