"""Pages written to lose: one for each rule of the filters that a page can reach.

Repetition rules look at characters, so each page is made from an article with phrases
pushed in between its words, as scrapers do. The longest word of a phrase stands last: the
rule for n words then counts it, while the rules for fewer words, which come first, do not.

Not reachable with trafilatura, whose text has no empty lines and so only one paragraph:
`max_dup_paragraph_ratio`, `max_dup_paragraph_char_ratio`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from werp.sample.cases import Case, html_case
from werp.sample.pages import frame
from werp.sample.prose import Page, Site

#: Rule key -> phrases pushed into an article, and how many times altogether.
_PUSHED: dict[str, tuple[Sequence[str], int]] = {
    "max_top_2_gram": (["cheap shoes"], 55),
    "max_top_3_gram": (["affordable and orthopaedic"], 14),
    "max_top_4_gram": (["extraordinary in the neighbourhood"], 10),
    "max_dup_5_gram": (
        ["click here for more savings", "order now while stocks last", "free delivery on every order",
         "thousands of happy customers agree", "limited offer ends this weekend"], 30,
    ),
    "max_dup_6_gram": (
        ["as we do it on recommendations", "so you can go to congratulations", "if he is at an administration"], 18,
    ),
    "max_dup_7_gram": (
        ["we do it so as to disproportionately", "I am up on it at straightforwardness",
         "if it is no go by misunderstandings"], 17,
    ),
    "max_dup_8_gram": (
        ["so it is up to us at responsibilities", "we go in by it as an internationalism",
         "he is on to me if no misinterpretation"], 15,
    ),
    "max_dup_9_gram": (
        ["as it is so do we go on uncharacteristically", "if I am to be in it by counterintelligence",
         "or is he up at it so to incomprehensibility"], 13,
    ),
    "max_dup_10_gram": (
        ["as it is so do we go on to institutionalisation", "if I am to be in it by no counterrevolutionary",
         "or is he up at it so we do misrepresentation"], 8,
    ),
}  # fmt: skip

_TEASERS = (
    "She opened the old box", "Nobody expected the seventh photo", "What doctors found inside the shoe",
    "He fed the stray dog", "The last one made us cry", "Then the bride turned around",
    "Her neighbour saw it all", "You will never guess why", "A farmer dug a little deeper",
    "The pilot looked out again", "Experts are lost for words", "This trick saves you hours",
    "They laughed at his boat", "The twins met at last", "Wait until you see the end",
    "A letter from the past", "The cat knew the answer", "Inside the house of mirrors",
)  # fmt: skip
_GOODS = (
    "Blue cotton shirt long sleeves size medium", "Red leather boots rubber soles women",
    "Green garden hose twenty metres brass fittings", "Black office chair adjustable arms steel base",
    "White porcelain plates set six dishwasher safe", "Grey wool socks three pairs extra warm",
    "Yellow rain jacket hooded children", "Brown paper bags fifty pieces large",
    "Silver kitchen scale digital display batteries included", "Pink bath towel thick soft quick drying",
    "Purple yoga mat six millimetres", "Orange camping tent four people waterproof",
    "Small wooden stool oiled oak handmade", "Glass storage jars airtight lids various sizes",
)  # fmt: skip
_LONG_WORDS = [
    "internationalisation",
    "institutionalisation",
    "counterrevolutionaries",
    "responsibilities",
    "misunderstandings",
    "disproportionately",
    "uncharacteristically",
    "incomprehensibility",
    "straightforwardness",
    "telecommunications",
    "interdisciplinary",
    "electromagnetically",
    "biotechnological",
    "photosynthetically",
    "thermodynamically",
    "neurophysiological",
    "crystallographically",
    "environmentalists",
    "entrepreneurship",
    "administrations",
    "recommendations",
    "congratulations",
    "representatives",
    "transformations",
    "characteristics",
    "acknowledgements",
]
_SHORT_SENTENCES = (
    "I am up. So is he. Is it on? It is. We do as we do. If I go, do I go by it? No, I go to it."
    " He is in. He is at it. So am I. Is he up to it? He is. Do we go on? We do. Or do we? If so, go."
    " I do it my way. He is a do it or go at it man. Be it so. It is up to me. Am I in it or on it?"
)


def push(text: str, phrases: Sequence[str], times: int) -> str:
    """A text with `phrases` in turn put between its words, `times` times at even distances."""
    words = text.split()
    step = len(words) / times
    places = {round(step * (i + 0.5)) for i in range(times)}
    supply = cycle(phrases)
    return " ".join(w if i not in places else f"{next(supply)} {w}" for i, w in enumerate(words))


def _paragraphs(lines: Sequence[str]) -> str:
    return "\n".join(f"<p>{line}</p>" for line in lines)


def _items(lines: Sequence[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{line}</li>" for line in lines) + "\n</ul>"


def _sentences(pages: Sequence[Page]) -> list[str]:
    prose = " ".join(block for page in pages for block in page.blocks if block[0] not in "@#-|")
    return [f"{sentence}." for sentence in prose.replace("\n", " ").rstrip(".").split(". ")]


def repetition_cases(site: Site, articles: Sequence[Page]) -> list[Case]:
    """One page for each n-gram rule, and two for repeated lines."""
    found = []
    for (key, (phrases, times)), article in zip(_PUSHED.items(), articles, strict=False):
        text = push(" ".join(article.blocks), phrases, times)
        words = text.split()
        body = _paragraphs([" ".join(words[i : i + 60]) for i in range(0, len(words), 60)])
        found.append(_spam(site, key.replace("_", "-"), f"repetition.v1.{key}_char_ratio", body, f"phrases pushed into a scraped article until {key} is passed"))  # fmt: skip
    lines = _sentences(articles[:1])[:14]
    slogan = "Subscribe today and never miss one of our amazing offers."
    body = _paragraphs([part for line in lines for part in (line, slogan)])
    found.append(_spam(site, "slogan-lines", "repetition.v1.max_dup_line_ratio", body, "every second line is the same slogan"))  # fmt: skip
    long_line = " ".join(_sentences(articles[1:2])[:4])
    short = [sentence for sentence in _sentences(articles[2:7]) if len(sentence) < 70][:24]
    lines = [part for i, line in enumerate(short) for part in ([line, long_line] if i % 5 == 2 else [line])]
    found.append(_spam(site, "long-lines", "repetition.v1.max_dup_line_char_ratio", _paragraphs(lines), "few lines repeat, and they are the long ones"))  # fmt: skip
    return found


def quality_cases(site: Site, articles: Sequence[Page]) -> list[Case]:
    """One page or more for each key of gopher_quality."""
    sentences = _sentences(articles)
    teasers = [f"{teaser}\u2026" for teaser in _TEASERS]
    long_teasers = [f"{line[:-1]}..." if i % 5 else line for i, line in enumerate(sentences[:30])]
    tags = [
        f"{line} " + " ".join(f"#{word.strip('.,').lower()}" for word in line.split()[-7:])
        for line in sentences[30:45]
    ]
    readings = [
        f"Reading {i} was {' '.join(str(1000 + (i * 7919 + k * 104729) % 8999) for k in range(12))} and the rest"
        for i in range(1, 25)
    ]
    noise = [
        f"{line} *** ~~~ === >>> ||| *** ~~~ === >>> ||| *** ~~~ ==="
        for line in sentences[50:65]
        if len(line) < 90
    ]
    # 137 is prime to the number of sentences, so that each round brings another order.
    endless = [sentences[(i * 137 + i // len(sentences)) % len(sentences)] for i in range(7800)]
    endless = [" ".join(endless[i : i + 12]) for i in range(0, len(endless), 12)]
    numbers = [
        f"Call {'0049' + str(10**30 + i * 7**29)[1:]} or {'0033' + str(10**30 + i * 3**55)[1:]} today"
        for i in range(30)
    ]
    return [
        _spam(site, "soon", "quality.v1.min_words", _paragraphs(["This page is under construction, and we are sorry about that.", "Come back to see what we have made of it."]), "about twenty words"),
        _spam(site, "endless", "quality.v1.max_words", _paragraphs(endless), "some 130,000 words of scraped sentences"),
        _spam(site, "am-i-in", "quality.v1.min_mean_word_length", _paragraphs([_SHORT_SENTENCES, _SHORT_SENTENCES.replace("I am", "I do")]), "words of two letters"),
        _spam(site, "long-words", "quality.v1.max_mean_word_length", _paragraphs([" and ".join(" ".join(_LONG_WORDS[k : k + 3]) for k in range(i, 26, 5)) for i in range(5)]), "a keyword list of very long words"),
        _spam(site, "phone-numbers", "quality.v1.max_mean_word_length", _paragraphs(numbers), "telephone numbers of 34 digits"),
        _spam(site, "tags", "quality.v1.max_hash_ratio", _paragraphs(tags), "a third of the words are hash tags"),
        _spam(site, "teasers", "quality.v1.max_ellipsis_ratio", _paragraphs(teasers), "teasers of five words, each with an ellipsis"),
        _spam(site, "features", "quality.v1.max_bullet_line_ratio", _items(sentences), "a list and nothing else"),
        _spam(site, "long-teasers", "quality.v1.max_ellipsis_line_ratio", _paragraphs(long_teasers), "four lines of five end in an ellipsis, yet few words do"),
        _spam(site, "readings", "quality.v1.min_alpha_word_ratio", _paragraphs(readings), "two words of three are numbers"),
        _spam(site, "noise", "quality.v1.min_alpha_word_ratio", _paragraphs(noise), "half of the words are symbols"),
        _spam(site, "goods", "quality.v1.min_stop_words", _paragraphs(_GOODS), "a product list without a single stop word"),
    ]  # fmt: skip


def _spam(site: Site, name: str, rule: str, body: str, why: str) -> Case:
    html = frame(site, name.replace("-", " ").title(), f"<h2>Today only</h2>\n{body}", f"/{name}")
    return html_case(f"https://{site.host}/{name}", html, f"dropped filter gopher_{rule}", why, "spam")
