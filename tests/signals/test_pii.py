"""Masking: what is an address, whatever script stands beside it, and how long a hostile text takes."""

from __future__ import annotations

import ipaddress
import json
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.job import table
from werp.edits import apply_edits
from werp.inputs import list_inputs
from werp.recipe import Recipe, load_recipe
from werp.refine import Options, make_plan, refine
from werp.signals.pii import Pii

_MAIL, _IP = "email@example.com", "22.214.171.124"

#: Texts by what becomes of them; `{m}` and `{i}` stand for the first mask of either kind.
EMAILS = {
    "请联系ann@corp.com谢谢": "请联系{m}谢谢",
    "メールann@corp.co.jpまで": "メール{m}まで",
    "이메일ann@corp.com으로": "이메일{m}으로",
    "อีเมลann@corp.comครับ": "อีเมล{m}ครับ",
    "بريدann@corp.comهنا": "بريد{m}هنا",
    "почтаann@corp.comпочта": "почта{m}почта",
    "हैann@corp.comहै": "है{m}है",
    "ελann@corp.grαβ": "ελ{m}αβ",
    "、ann@corp.com。": "、{m}。",
    "müller@x.org, ann@müller.de": "{m}, firstname.lastname@example.org",
    "**j.o'neil+news@Corp.COM**": "**{m}**",
    "mailto:ann@corp.com.": "mailto:{m}.",
    "ann..b@corp.com": "ann..{m}",
    "root@[81.2.69.142]": "{m}",
    "the hosts 81.2.69.142-81.2.69.150": f"the hosts {_IP}-126.96.36.199",
    "lodash@4.17.21 and mod@v1.2.3": "lodash@4.17.21 and mod@v1.2.3",
    "@ann, ann@corp, ann @ corp.com": "@ann, ann@corp, ann @ corp.com",
}
ADDRESSES = [
    "请访问8.8.8.8。", "我的IP是81.2.69.142吗", "서버81.2.69.142에서", "адрес 5.6.7.8", "عنوان 5.6.7.8",
    "アドレスは5.6.7.8です", "服务器1.2.3.4上", "IP address is 1.2.3.4", "ping 5.6.7.8", "http://5.6.7.8/",
    "5.6.7.8:443", "5.6.7.8/24", "66.249.66.1 - - [10/Oct]", "by Guest (81.2.69.142)", "root@81.2.69.142",
    "Version 2 is out. Visit 81.2.69.142 now", "IP5.6.7.8", "die IP-Adresse 5.6.7.8", "server at 5.6.7.8",
]  # fmt: skip
NUMBERS = [
    "Version 4.8.1.2", "version 150.2.3.4", "v81.2.69.142", "Firefox/3.6.13.1", "foo-81.2.69.142.tar.gz",
    "lib==81.2.69.142", "81.2.69.142-rc1", "release 45.33.32.156", "版本 98.2.3.4", "версия 98.2.3.4",
    "OID 1.3.132.10", "1.3.6.1.4.1.311", "2.5.29.17", "iso.3.6.1.2", "Section 150.12.3.4 applies",
    "§ 61.12.3.4", "Clauses 4.2.1.3, 77.2.1.5", "Art. 66.1.2.3", "4.2.1.3 The tenant pays", "第4.2.1.3条",
    "Abschnitt 66.2.3.4", "Oracle 11.2.0.4", "12.2.0.1.0", "999.1.1.1", "10.0.0.1", "1.23.45.67.89",
]  # fmt: skip


def masked(texts: list[str], folder: Path, **options: Any) -> list[str]:
    """The texts as the shards of a run carry them."""
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    recipe = Recipe.model_validate({"name": "t", "rules": [{"rule": "pii.v1", **options}]})
    refine(None, make_plan(recipe, list_inputs([str(rows)]), folder / "out", Options()))
    return [row["text"] for row in table(folder / "out", "shards")]


def test_an_address_is_masked_whatever_stands_beside_it_and_no_other_number_is(tmp_path: Path) -> None:
    found = masked([*EMAILS, *ADDRESSES, *NUMBERS], tmp_path)
    assert found[: len(EMAILS)] == [text.format(m=_MAIL) for text in EMAILS.values()]
    ips = found[len(EMAILS) : -len(NUMBERS)]
    assert [_IP in text for text in ips] == [True] * len(ADDRESSES), ips
    assert found[-len(NUMBERS) :] == NUMBERS


# --- datatrove ----------------------------------------------------------------------------------

_OCTET = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
#: What datatrove 0.10.1 looks for.
THEIR_EMAIL = re.compile(
    rf"\b{_ATOM}(?:\.{_ATOM})*@(?:(?:{_LABEL}\.)+{_LABEL}"
    rf"|\[(?:{_OCTET}\.){{3}}(?:{_OCTET}|[A-Za-z0-9-]*[A-Za-z0-9]:)])"
)
THEIR_IP = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")


def theirs(text: str) -> str:
    def masked_ip(match: re.Match[str]) -> str:
        try:
            return "<ip>" if ipaddress.ip_address(match[0]).is_global else match[0]
        except ValueError:
            return match[0]

    return THEIR_IP.sub(masked_ip, THEIR_EMAIL.sub("<mail>", text))


def test_datatroves_rule_finds_what_datatroves_patterns_find() -> None:
    rule = Pii(matching="datatrove")
    draw = random.Random(1)
    parts = [*"ab1Z9.-_@'*= \n[]:系é", "a@b.org", "8.8.8.8", "255.", "99.", "..", "-x", "@[1.2.3.4]", ".com",
             "@[9.9.9.a:]", "999.1.1.1", "x-"]  # fmt: skip
    some = 0
    for _ in range(5_000):
        text = "".join(draw.choices(parts, k=draw.randint(1, 14)))
        spans = [
            span._replace(replacement="<mail>" if "emails" in span.rule else "<ip>")
            for span in rule.edits_of(text)
        ]
        assert apply_edits(text, spans) == theirs(text), repr(text)
        some += bool(spans)
    assert some > 1_000


def test_recipes_mask_as_their_sources_do() -> None:
    found = {
        name: [rule.matching for rule in load_recipe(name).rules if isinstance(rule, Pii)]
        for name in ("fineweb", "fineweb2", "werp_next")
    }
    assert found == {"fineweb": ["datatrove"], "fineweb2": ["datatrove"], "werp_next": ["context"]}


@pytest.mark.parametrize("matching", ["context", "datatrove"])
def test_hostile_texts_take_no_longer_than_others(matching: Any) -> None:
    rule = Pii(matching=matching)
    size = 50_000
    parts = ["x-", "a.", "a@", "@", "a@b.", "a@b-", "1.", "1.1.1.1.", "1", "..", "@[", "a@1.",
             "version 1.2.3.4 ", "ip ", "-1.2.3.4", "é", "系a@b.org", "a@b.org ", "a@-"]  # fmt: skip
    for part in parts:
        text = "a@b.org " + part * (size // len(part)) + "@"
        started = time.process_time()
        rule.edits_of(text)
        assert time.process_time() - started < 4, (
            part
        )  # each took under 0.4 s; in proportion to the square, minutes
