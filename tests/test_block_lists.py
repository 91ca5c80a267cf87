"""Block lists in the formats of their publishers, through whole runs: what a line drops, what it spares."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from tests.job import manifest, table
from werp.errors import WerpError
from werp.inputs import list_inputs
from werp.preflight import lists_read
from werp.recipe import Recipe
from werp.refine import Options, make_plan, refine

#: (line of a list, addresses that it blocks, addresses near them that it spares), each with hosts of its own.
LINES: list[tuple[str, list[str], list[str]]] = [
    ("plain.example", ["http://plain.example/", "https://www.plain.example:8443/x", "http://a.b.plain.example/"],
     ["http://notplain.example/", "http://plain.example.org/", "http://x.example/plain.example"]),
    ("UPPER.Example.", ["http://upper.example/", "http://UPPER.EXAMPLE./x"], ["http://pper.example/"]),
    ("0.0.0.0 hosts1.example", ["http://hosts1.example/a", "http://www.hosts1.example/"], ["http://hosts.example/"]),
    ("127.0.0.1\thosts2.example\thosts3.example  hosts4.example # two more",
     ["http://hosts2.example", "http://hosts3.example/", "http://hosts4.example/"], ["http://two.example/"]),
    ("::1 hosts5.example", ["http://hosts5.example/"], []),
    (":: hosts6.example", ["http://hosts6.example/"], []),
    ("0.0.0.0 ns.hosts7.example", ["http://ns.hosts7.example/"], ["http://hosts7.example/"]),
    ("127.0.0.1 localhost localhost.localdomain", [], ["http://localhost/"]),
    ("255.255.255.255 broadcasthost", [], []),
    ("fe80::1%lo0 localhost", [], []),
    ("ff02::1 ip6-allnodes", [], []),
    ("0.0.0.0 0.0.0.0", [], ["http://0.0.0.1/"]),
    ("||ab1.example^", ["http://ab1.example/x", "http://sub.ab1.example/"], ["http://xab1.example/"]),
    ("||ab2.example^$third-party", ["http://ab2.example/"], []),
    ("||ab3.example^$document,popup", ["http://ab3.example/"], []),
    ("||ab4.example^$script,third-party", [], ["http://ab4.example/"]),
    ("||ab5.example^$domain=news.example", [], ["http://ab5.example/", "http://news.example/"]),
    ("||ab6.example/bad", ["http://ab6.example/bad", "http://w.ab6.example/badger?x"], ["http://ab6.example/ba"]),
    ("||ab7.example/bad^", ["http://ab7.example/bad/x", "http://ab7.example/bad?x"], ["http://ab7.example/badger"]),
    ("|https://ab8.example/one|", ["https://ab8.example/one"], ["https://ab8.example/two"]),
    ("||*.ab9.example^", ["http://x.ab9.example/"], []),
    ("ab10.example^", ["http://ab10.example/"], []),
    ("||ab11.example^$badfilter", [], []),
    ("||ab11.example^", [], ["http://ab11.example/"]),
    ("||ab12.example^", ["http://ab12.example/", "http://x.ab12.example/"], ["http://ok.ab12.example/"]),
    ("@@||ok.ab12.example^", [], ["http://w.ok.ab12.example/"]),
    ("@@||ab12.example/about/", [], ["http://ab12.example/about/us"]),
    ("@@||ab12.example^$elemhide", [], []),
    ("ab13.example##.advert", [], ["http://ab13.example/"]),
    ("ab14.example,ab15.example#@#.x", [], ["http://ab14.example/"]),
    ("ab16.example#?#.x:has(a)", [], ["http://ab16.example/"]),
    ("##.advert", [], []),
    ("address=/dm1.example/0.0.0.0", ["http://dm1.example/", "http://x.dm1.example/"], []),
    ("address=/dm2.example/dm3.example/", ["http://dm2.example/", "http://dm3.example/"], []),
    ("address=/dm4.example/#", ["http://dm4.example/"], []),
    ("address=/dm5.example/::", ["http://dm5.example/"], []),
    ("server=/dm6.example/", ["http://dm6.example/"], ["http://ok.dm6.example/"]),
    ("server=/ok.dm6.example/#", [], []),
    ("local=/dm7.example/ # why", ["http://dm7.example/"], []),
    ('local-zone: "ub1.example" always_nxdomain', ["http://ub1.example/"], []),
    ('local-data: "ub2.example A 0.0.0.0"', ["http://ub2.example/"], []),
    ('zone "bind1.example" { type master; file "/etc/bind/null"; };', ["http://bind1.example/"], []),
    ("rpz1.example CNAME .", ["http://rpz1.example/"], []),
    ("*.rpz2.example 60 IN CNAME .", ["http://x.rpz2.example/"], []),
    ("rpz3.example\tA\t0.0.0.0", ["http://rpz3.example/"], ["http://ok.rpz3.example/"]),
    ("ok.rpz3.example CNAME rpz-passthru.", [], []),
    ("$TTL 300", [], []), ("2016072800 ; serial", [], []), ("86400 )", [], []), (" NS localhost.", [], []),
    ("32.20.100.51.198.rpz-ip CNAME .", ["http://198.51.100.20/"], ["http://198.51.100.21/"]),
    ("48.zz.7.db8.2001.rpz-ip CNAME .", ["http://[2001:db8:7::9]/"], []),
    ("ns.rpz4.example.rpz-nsdname CNAME .", [], ["http://ns.rpz4.example/"]),
    ("@ SOA localhost. root.localhost. 1 2 3 4 5", [], []),
    (".dot.example", ["http://dot.example/", "http://x.dot.example/"], []),
    ("*.star.example", ["http://x.star.example/"], []),
    ("www.only.example", ["http://www.only.example/", "http://only.example/"], ["http://blog.only.example/"]),
    ("www.com", ["http://www.com/"], ["http://fine.com/"]),
    ("www.co.uk", ["http://www.co.uk/"], ["http://fine.co.uk/"]),
    ("path1.example/~user", ["http://path1.example/~user/x", "http://www.path1.example/~user"],
     ["http://path1.example/", "http://path1.example/~users", "http://x.path1.example/~user"]),
    ("http://path2.example/Bad/", ["http://path2.example/bad", "https://path2.example/bad/x?y#z"],
     ["http://path2.example/good"]),
    ("path3.example/view?id=3", ["http://path3.example/view?id=3&x=1"], ["http://path3.example/view?id=31"]),
    ("path4.example/%7Euser # home", ["http://path4.example/~user/"], ["http://path4.example/"]),
    ("http://whole.example/", ["http://whole.example/any"], ["http://wholes.example/"]),
    ("http://user:pw@whole2.example", ["http://whole2.example/any"], []),
    ("port.example:8080", ["http://port.example:8080/x"], ["http://port.example/x"]),
    ("port2.example:443", ["https://port2.example/x"], ["http://port2.example/x"]),
    ("[2001:db8:5::1]:8080", ["http://[2001:db8:5::1]:8080/"], ["http://[2001:db8:5::1:8080]/"]),
    ("query.example?id=1", ["http://query.example?id=1&x", "http://query.example/?id=1"], ["http://query.example/"]),
    ("http://usual.example:80/x", ["http://usual.example/x"], []),
    ("198.51.100.7", ["http://198.51.100.7/x", "http://198.51.100.7:81/"], ["http://198.51.100.70/"]),
    ("203.0.113.0/28", ["http://203.0.113.9/"], ["http://203.0.113.99/"]),
    ("198.51.100.8/~x/", ["http://198.51.100.8/~x/y"], ["http://198.51.100.8/"]),
    ("[2001:DB8::0:1]", ["http://[2001:db8::1]/x"], ["http://[2001:db8::2]/"]),
    ("2001:db8::7", ["http://[2001:db8:0:0::7]:80/"], []),
    ("bücher.example", ["http://xn--bcher-kva.example/", "http://BÜCHER.example/", "http://x.bücher.example/"],
     ["http://bucher.example/"]),
    ("||例え.example^", ["http://xn--r8jz45g.example/"], []),
    ("xn--mnchen-3ya.example", ["http://münchen.example/"], []),
    ("under_score.example", ["http://under_score.example/"], []),
    ("trailing.example\t# comment", ["http://trailing.example/"], []),
    ("glued.example#comment", ["http://glued.example/"], []),
    ("! a comment; hosts.example", [], ["http://hosts.example/"]), ("; another", [], []), ("", [], []),
    ("// and one", [], []), ("# and one", [], []), ("[Adblock Plus 2.0]", [], []),
    ("||xxx^", ["http://any.xxx/"], ["http://xxx.example/"]),
]  # fmt: skip
#: Lines that are of no format, and what the error says of them.
BAD = {
    "/banner/*": "a pattern without a host", "/ads[0-9]+/": "a pattern without a host",
    "||ads*.example^": "wildcard inside", "ads.*": "wildcard that is not in front", "||ads.": "open end",
    "two words": "more than one word", "1,example.org,2": "no host name", "-ads^": "no host name",
    "93.184.216.34 real.example": "maps a name to 93.184.216.34",
    "server=/x.example/192.0.2.1": "blocks nothing",
    "address=/#/": "no host name", "<html>": "no host name", "exa mple.org^": "more than one word",
    "||x.example^$nosuchoption": "unknown option 'nosuchoption'", "http://": "no host name",
    "http://[::1": "no host name", "x.example:port": "no host name", f"{'a' * 64}.example": "no host name",
    "a..example": "no host name", "192.0.2.1-192.0.2.9": "no host name", "256.1.1.1": "no host name",
    "192.0.2.1/24": "has host bits set", "ann@mail.example": "an e-mail address",
    "http://hash.example/#!/spam": "a place inside a page", "33.1.2.0.192.rpz-ip CNAME .": "192.0.2.1/33",
}  # fmt: skip


def recipe(**lists: Any) -> Recipe:
    return Recipe.model_validate({"name": "lists", "rules": [{"rule": "url.v1", **lists}]})


def verdicts(folder: Path, urls: list[str], **lists: Any) -> dict[str, str | None]:
    """The entry by which a run drops each address, None where it keeps it."""
    folder.mkdir(exist_ok=True)
    rows = [json.dumps({"url": url, "text": f"A text at {url}"}) for url in urls]
    (folder / "rows.jsonl").write_text("\n".join(rows))
    plan = make_plan(recipe(**lists), list_inputs([str(folder / "rows.jsonl")]), folder / "out", Options())
    refine(None, plan)
    return {row["url"]: row["value"] for row in table(folder / "out", "ledger")}


def test_every_format_means_what_its_publisher_does(tmp_path: Path) -> None:
    listing = tmp_path / "list.txt.xz"
    listing.write_bytes(lzma.compress("\ufeff".encode() + "\r\n".join(line for line, *_ in LINES).encode()))
    blocked = [url for _, urls, _ in LINES for url in urls]
    spared = [url for _, _, urls in LINES for url in urls]
    assert not set(blocked) & set(spared)
    found = verdicts(tmp_path / "run", [*blocked, *spared], blocked_domains=str(listing))
    assert [url for url in blocked if found[url] is None] == []
    assert {url: found[url] for url in spared if found[url] is not None} == {}
    (kinds,) = manifest(tmp_path / "run" / "out")["lists"].values()
    assert kinds == {
        "hosts and what is below them": 46, "hosts alone": 3, "pages": 9, "beginnings of paths": 1,
        "networks": 3, "exceptions": 4, "rules taken back": 1, "rules on parts of pages, passed over": 8,
        "names of the machine itself, passed over": 6, "comments": 10,
    }  # fmt: skip
    page = (tmp_path / "run" / "out" / "report.html").read_text("utf-8")
    assert "46 hosts and what is below them, 3 hosts alone" in page


@pytest.mark.parametrize("line", BAD)
def test_a_line_of_no_format_is_an_error_with_its_number(line: str, tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text(f"# head\nok.example\n{line}\n", "utf-8")
    with pytest.raises(WerpError) as caught:
        lists_read(recipe(blocked_domains=str(tmp_path / "l.txt")))
    said = str(caught.value)
    assert said.startswith(f"recipe field url.v1.blocked_domains: list file {tmp_path / 'l.txt'}, line 3: ")
    assert BAD[line] in said
    assert "mend or take out" in said


def test_what_is_no_list_is_named(tmp_path: Path) -> None:
    for content, says in (
        (gzip.compress(b"a.example\n" * 99)[:-9], "packing is damaged"),
        (b"adult/\0\0\0ustar\n", "an archive or no text; unpack it"),
        (b"a.example\n\xff.example\n", r"not UTF-8 \(line 2\)"),
        (b"this is\nnot\na list of\nany known\nkind it is\n", r"line 1: .*line 4.*\(and 1 more lines\)"),
    ):
        (tmp_path / "l").write_bytes(content)
        with pytest.raises(WerpError, match=says):
            lists_read(recipe(blocked_domains=str(tmp_path / "l")))


def test_words_that_no_address_has_are_named(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("Casino # gambling\n\nloan\n")
    found = verdicts(tmp_path / "run", ["http://x.example/my-casino", "http://x.example/loans"],
                     blocked_words=str(tmp_path / "words"))  # fmt: skip
    assert list(found.values()) == ["casino", None]
    for word in ("казино", "café"):
        (tmp_path / "words").write_text(f"loan\n{word}\n", "utf-8")
        with pytest.raises(WerpError, match=rf"words, line 2: '{word}': .*take the line out"):
            lists_read(recipe(blocked_words=str(tmp_path / "words")))


def test_the_summary_is_said_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import jobs.refine as job  # noqa: PLC0415

    (tmp_path / "r.yaml").write_text(recipe(blocked_domains=str(tmp_path / "l")).model_dump_json())
    (tmp_path / "l").write_text("a.example\nb.example/x\n@@||ok.a.example^\n# c\n")
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}')
    job.main([str(tmp_path / "rows.jsonl")], tmp_path / "out", recipe=str(tmp_path / "r.yaml"), dry_run=True)
    said = capsys.readouterr().err
    assert (
        f"list url.v1.blocked_domains {tmp_path / 'l'}: 1 hosts and what is below them, 1 pages, 1 exceptions"
        in said
    )
