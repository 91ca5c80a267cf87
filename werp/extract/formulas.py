"""Formulas, each written once: as its TeX source where the page holds it, else as a line of text.

Pages carry a formula up to three times: as MathML for screen readers, drawn by elements or an image, and as
the TeX it was written in; extractors keep any of them, all or none. Here it becomes `$source$`, as in
OpenWebMath (Paster et al. 2023, arXiv 2310.06786); MathML without a source becomes text in the same style
without the signs: x^2, a/b. Known are plain MathML, KaTeX, MathJax 2 and 3, MediaWiki, and images whose
alternative text is TeX (WordPress, Sphinx, latex2html, Zhihu and others).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

#: Few searches for pages without formulas: all that is known below holds one of these words.
_WORDS = ("math", "latex", "equation?tex=", 'alt="$', 'ALT="$')
_SIGNS = (
    "<math",
    "math/",
    "katex",
    "mjx-container",
    "MathJax_",
    "mwe-math",
    "latex.php",
    "codecogs",
    '"latex"',
    '"tex"',
    '"math',
    "equation?tex=",
    'alt="$',
    'ALT="$',
    ":math",
)
_CONTAINERS = (
    ".mwe-math-element", ".katex-display", ".katex", "mjx-container", ".MathJax_Display", ".MathJax",
    ".MathJax_SVG_Display", ".MathJax_SVG", ".MathJax_CHTML", ".MathJax_MathML", "math",
)  # fmt: skip
#: What MathJax 2 draws before the script that it drew from.
_DRAWN = ".MathJax_Preview, .MathJax_Display, .MathJax, .MathJax_SVG_Display, .MathJax_SVG, .MathJax_CHTML, .MathJax_MathML"  # noqa: E501  # fmt: skip
_IMAGES = (
    "img[class*='mwe-math'], img.tex, img.latex, img.math, img[src*='latex.php'], img[src*='codecogs.com'],"
    " img[src*='/equation?tex='], img[alt^='$'][alt$='$']"
)
#: Names of MathML's elements with the prefix of their namespace, which HTML does not know.
_PREFIXED = re.compile(r"<(/?)(?:mml|m):(?=m|semantics|annotation)")
_MOST_DEPTH = 40
_MOST_NODES = 20_000
_DISPLAYED = re.compile(
    r'katex-display|_Display|mode=display|display="(?:block|true)"|mwe-math-mathml-display'
)
#: What TeX may already stand between, and what MediaWiki puts around it.
_AROUND = (
    ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("{\\displaystyle", "}"), ("{\\textstyle", "}"),
)  # fmt: skip


def with_formulas(html: str) -> str:
    """The markup with text in place of formulas; untouched, to the letter, where it holds none."""
    if not any(word in html for word in _WORDS) or not any(sign in html for sign in _SIGNS):
        return html
    from resiliparse.parse.html import HTMLTree  # noqa: PLC0415

    if ":math" in html:
        html = _PREFIXED.sub(r"<\1", html)
    tree = HTMLTree.parse(html)
    page = tree.document
    if page is None:
        return html
    replaced = 0
    for script in page.query_selector_all("script[type^='math/']"):
        replaced += _replace_script(tree, script)
    for container in _CONTAINERS:
        for element in page.query_selector_all(container):
            if not _holds_more(element):
                replaced += _replace(tree, element, _source(element) or _line_of(element))
    for image in page.query_selector_all(_IMAGES):
        replaced += _replace(tree, image, _dollars(image.getattr("alt") or image.getattr("title") or ""))
    return str(tree) if replaced else html


def _holds_more(element: Any) -> bool:
    """Whether a container is none: some pages give the names of these classes to whole articles."""
    return len(element.get_elements_by_tag_name("math")) > 1 or bool(
        element.query_selector("p, h1, h2, h3, li")
    )


def _replace(tree: Any, element: Any, text: str) -> bool:
    """Put text in an element's place, where there is any; parts of what was replaced are out of the tree."""
    if not text or element.parent is None:
        return False
    # One that is drawn on a line of its own has no space around it in the markup.
    around = " " if element.tag == "div" or _DISPLAYED.search(element.html[:2000]) else ""
    element.parent.replace_child(tree.create_text_node(f"{around}{text}{around}"), element)
    return True


def _replace_script(tree: Any, script: Any) -> bool:
    kind = (script.getattr("type") or "").lower()
    if kind.startswith("math/mml"):
        inner = type(tree).parse(script.text).document.query_selector("math")
        text = (_source(inner) or _line_of(inner)) if inner is not None else ""
    else:
        text = _dollars(script.text)
    if not text:
        return False
    while (drawn := _drawn_before(script)) is not None:
        drawn.parent.remove_child(drawn)
    return _replace(tree, script, text)


def _drawn_before(script: Any) -> Any:
    before = script.previous_sibling
    while before is not None and before.tag == "#text" and not before.text.strip():
        before = before.previous_sibling
    return before if before is not None and before.tag in ("span", "div") and before.matches(_DRAWN) else None


def _source(element: Any) -> str:
    """The TeX that a container or a `math` element holds; empty where it holds none."""
    for note in element.get_elements_by_tag_name("annotation"):
        if "tex" in (note.getattr("encoding") or "").lower():
            return _dollars(note.text)
    for holder in (element, *element.get_elements_by_tag_name("math")):
        if holder.tag == "math" and holder.getattr("alttext"):
            return _dollars(holder.getattr("alttext"))
    for image in element.get_elements_by_tag_name("img"):
        if image.getattr("alt"):
            return _dollars(image.getattr("alt"))
    return ""


def _dollars(tex: str) -> str:
    """TeX on one line between dollar signs, without its own."""
    tex = " ".join(tex.split())
    for begin, end in _AROUND:
        if tex.startswith(begin) and tex.endswith(end) and len(tex) > len(begin) + len(end):
            tex = tex[len(begin) : -len(end)].strip()
    return f"${tex}$" if tex else ""


def _line_of(element: Any) -> str:
    """MathML as a line of text; empty where the container holds no MathML, so that what it shows stays."""
    math = element if element.tag == "math" else next(iter(element.get_elements_by_tag_name("math")), None)
    if math is None:
        return ""
    left = [_MOST_NODES]
    return " ".join(_linear(math, 0, left).split())


def _linear(node: Any, depth: int, left: list[int]) -> str:
    left[0] -= 1
    if node.tag == "#text":
        return str(node.text).strip()
    if depth > _MOST_DEPTH or left[0] < 0:
        return str(node.text)
    if node.tag in ("annotation", "annotation-xml", "mphantom"):
        return ""
    children = [child for child in node.child_nodes if child.tag != "#text" or child.text.strip()]
    parts = [_linear(child, depth + 1, left) for child in children]
    if node.tag == "mfenced":
        opens, closes = (node.getattr(name) for name in ("open", "close"))
        return f"{'(' if opens is None else opens}{', '.join(parts)}{')' if closes is None else closes}"
    if node.tag == "mmultiscripts":
        return _multiscripts([child.tag for child in children], parts)
    return _written(node.tag, parts)


def _multiscripts(tags: list[str], parts: list[str]) -> str:
    """A base with pairs of lowered and raised parts behind it, and behind `mprescripts` those before it."""
    middle = tags.index("mprescripts") if "mprescripts" in tags else len(tags)
    before, after = ("".join(_pairs(some)) for some in (parts[middle + 1 :], parts[1:middle]))
    return before + "".join(parts[:1]) + after


def _pairs(parts: list[str]) -> Iterator[str]:
    for index, part in enumerate(parts):
        if part.strip():
            yield "_^"[index % 2] + _braced(part)


def _written(tag: str, parts: list[str]) -> str:
    """An element of MathML whose children are written already."""
    joined = _SEPARATED[tag].join(map(str.strip, parts)) if tag in _SEPARATED else "".join(parts)
    form = _FORMS.get((tag, len(parts)))
    if form:
        return form.format(*map(_group, parts))
    if tag in _WHOLE:
        return _WHOLE[tag].format(joined)
    signs = _SCRIPTS.get(tag, "")
    if tag == "mover" and len(parts) == 2 and _ACCENT.fullmatch(parts[1]):
        return parts[0] + parts[1].strip()
    if signs and len(parts) == len(signs) + 1:
        scripts = "".join(sign + _braced(part) for sign, part in zip(signs, parts[1:], strict=True))
        # What follows the bounds of a sum would be read on with them.
        return _group(parts[0]) + scripts + " " * (tag in ("msubsup", "munderover"))
    return _OPERATORS.get(joined, joined) if tag == "mo" else joined


#: Signs with space around them; and what stands, unseen, between a function and its argument.
_OPERATORS = {**{sign: f" {sign} " for sign in "=<>≤≥≈≠+−→←↔∈"}, "\u2061": " "}
_ACCENT = re.compile(r"\s*[^\w\s]\s*")
_SEPARATED = {"mtable": "; ", "mtr": " "}
_WHOLE = {"msqrt": "√({})", "mspace": " ", "mtext": " {} "}
_FORMS = {("mfrac", 2): "{}/{}", ("mroot", 2): "root({}, {})"}
_SCRIPTS = {
    "msup": "^", "mover": "^", "msub": "_", "munder": "_", "msubsup": "_^", "munderover": "_^",
}  # fmt: skip


def _braced(part: str) -> str:
    part = part.strip()
    return part if len(part) == 1 or part.isdigit() else f"{{{part}}}"


def _group(part: str) -> str:
    part = part.strip()
    whole = re.fullmatch(r"[^\W_]+|.|\(.*\)", part)
    return part if whole else f"({part})"
