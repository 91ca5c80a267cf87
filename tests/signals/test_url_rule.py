from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from werp.errors import WerpError
from werp.signals.batch import TextBatch
from werp.signals.url import Url


def measure(rule: Url, *urls: str) -> dict[str, list[object]]:
    columns = rule.measure(TextBatch(list(urls), list(urls), [""] * len(urls)))
    return {name.removeprefix("url."): column.to_pylist() for name, column in columns.items()}


def listed(tmp_path: Path, **lists: str) -> Url:
    paths = {}
    for field, content in lists.items():
        paths[field] = str(tmp_path / field)
        (tmp_path / field).write_text(content, encoding="utf-8")
    return Url.model_validate(paths)


def test_domains_match_host_and_parents(tmp_path: Path) -> None:
    rule = listed(tmp_path, blocked_domains="# comment\nbad.com\nwww.Sub.Ok.org\n\n10.0.0.1\n")
    urls = {
        "http://bad.com/x": "bad.com",
        "https://WWW.BAD.com:8080/": "bad.com",
        "http://a.b.bad.com": "bad.com",
        "http://user:pw@bad.com/": "bad.com",
        "http://notbad.com/": None,
        "http://bad.com.evil.net/": None,
        "http://ok.org/bad.com": None,
        "http://sub.ok.org/": "www.sub.ok.org",
        "http://www.sub.ok.org/": "www.sub.ok.org",
        "http://x.sub.ok.org/": None,
        "http://10.0.0.1/": "10.0.0.1",
        "http://[broken/": None,
        "": None,
    }
    assert measure(rule, *urls)["blocked_domain"] == list(urls.values())


def test_words_are_whole(tmp_path: Path) -> None:
    rule = listed(tmp_path, blocked_words="foo\nBar\n", soft_words="one\ntwo\n#three\n")
    found = measure(
        rule,
        "http://x.org/a-foo_b",
        "http://x.org/food",
        "http://BAR.org/foo",
        "http://one.org/one/two/three",
    )
    assert found["blocked_word"] == ["foo", None, "bar", None]
    assert found["soft_word_hits"] == [0, 0, 0, 2]
    assert [(c.key, c.drop_if, c.threshold) for c in rule.checks()] == [
        ("blocked_words", "set", None),
        ("max_soft_words", ">", 1),
    ]


def test_substrings_ignore_joints(tmp_path: Path) -> None:
    rule = listed(tmp_path, blocked_substrings="bad word\nx-yz\nbadwords\n")
    found = measure(
        rule, "http://a.org/b_a.d-wordsy", "http://x-y.z.org", "http://bad/word.org", "http://ok.org"
    )
    assert found["blocked_substring"] == ["badword", "xyz", None, None]


@given(
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=8), st.text("abc.-/", max_size=20)
)
def test_substrings_equal_a_plain_search(
    tmp_path_factory: pytest.TempPathFactory, entries: list[str], url: str
) -> None:
    rule = listed(tmp_path_factory.mktemp("lists"), blocked_substrings="\n".join(entries))
    (match,) = measure(rule, url)["blocked_substring"]
    plain = url.replace(".", "").replace("-", "")
    hits = sorted((plain.index(e), e) for e in entries if e in plain)
    assert match == (hits[0][1] if hits else None)


def test_lists_not_given_leave_null() -> None:
    assert measure(Url(), "http://a.org") == {
        "blocked_domain": [None],
        "blocked_word": [None],
        "soft_word_hits": [None],
        "blocked_substring": [None],
    }
    assert Url().checks() == []
    assert Url().measure_parameters() == {}


def test_an_empty_list_matches_nothing(tmp_path: Path) -> None:
    rule = listed(tmp_path, blocked_domains="", blocked_words="#\n", soft_words="\n", blocked_substrings="")
    assert measure(rule, "http://a.org", "") == {
        "blocked_domain": [None, None],
        "blocked_word": [None, None],
        "soft_word_hits": [0, 0],
        "blocked_substring": [None, None],
    }


def test_parameters_follow_content_not_place(tmp_path: Path) -> None:
    one, two, three = (tmp_path / n for n in "abc")
    one.write_text("x\n")
    two.write_text("x\n")
    three.write_text("y\n")
    parameters = [Url(blocked_words=str(p)).measure_parameters() for p in (one, two, three)]
    assert parameters[0] == parameters[1] != parameters[2]
    assert Url(blocked_words=str(one), max_soft_words=5).measure_parameters() == parameters[0]


@pytest.mark.parametrize("field", ["blocked_domains", "blocked_words", "soft_words", "blocked_substrings"])
def test_a_missing_list_names_field_path_and_remedy(tmp_path: Path, field: str) -> None:
    rule = Url.model_validate({field: str(tmp_path / "none.txt")})
    for act in (rule.measure_parameters, lambda: measure(rule, "http://a.org")):
        with pytest.raises(
            WerpError, match=rf"url\.v1\.{field}: cannot read .*none\.txt.*leave the field out"
        ):
            act()


def test_a_list_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "l").write_bytes(b"ok\n\xff\n")
    with pytest.raises(WerpError, match=r"blocked_words: list file .* is not UTF-8"):
        measure(Url(blocked_words=str(tmp_path / "l")), "http://a.org")


def test_real_lists(werp_data: Path) -> None:
    lists = werp_data / "blocklists" / "datatrove"
    rule = Url(
        blocked_words=str(lists / "banned_words.txt"),
        soft_words=str(lists / "soft_banned_words.txt"),
        blocked_substrings=str(lists / "banned_subwords.txt"),
    )
    found = measure(
        rule, "https://en.wikipedia.org/wiki/Web_crawler", "https://freeporn.example/hot-sex-videos"
    )
    assert [found["blocked_word"][0], found["blocked_substring"][0], found["soft_word_hits"][0]] == [
        None,
        None,
        0,
    ]
    assert found["blocked_word"][1] or found["blocked_substring"][1]
