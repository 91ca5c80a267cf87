"""Words, lines and copies in whole runs: scripts without spaces, what nobody sees, each source's counting."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from tests.job import table
from werp.inputs import list_inputs
from werp.recipe import Recipe
from werp.refine import Options, make_plan, refine

UNSPACED = ("cmn_hans", "cmn_hant", "jpn", "tha", "lao", "khm", "mya", "bod")


@pytest.fixture(scope="module")
def declarations(werp_data: Path) -> dict[str, str]:
    """The Universal Declaration of Human Rights by language, white space at lines' ends taken off."""
    with lzma.open(werp_data / "corpora" / "udhr2.jsonl.xz", "rt", encoding="utf-8") as lines:
        rows = map(json.loads, lines)
        return {row["lang"]: "\n".join(map(str.strip, row["text"].splitlines())) for row in rows}


def outcomes(folder: Path, recipe: dict[str, Any], texts: dict[str, str]) -> dict[str, str | None]:
    """The rule that drops each text, None for one kept, and for a copy the name of its survivor."""
    folder.mkdir()
    rows = [json.dumps({"url": f"https://x.org/{name}", "text": text}) for name, text in texts.items()]
    (folder / "texts.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    made = Recipe.model_validate({"name": "words", **recipe})
    refine(None, make_plan(made, list_inputs([str(folder / "texts.jsonl")]), folder / "run", Options()))
    ledger = table(folder / "run", "ledger")
    names = {row["id"]: row["url"].removeprefix("https://x.org/") for row in ledger}
    return {
        names[row["id"]]: names[row["survivor_id"]] if row["survivor_id"] else row["rule"] for row in ledger
    }


def kept_texts(folder: Path) -> dict[str, str]:
    """The text of each page in the shards of the run in a folder."""
    return {row["url"].removeprefix("https://x.org/"): row["text"] for row in table(folder / "run", "shards")}


def copies(declarations: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Texts, and which of them is a copy of which."""
    texts, of = {}, {}
    for lang in UNSPACED:
        whole = declarations[lang][:1200]
        middle = len(whole) // 2
        near = whole[:middle] + whole[middle + 1 :]
        short = next(part for part in "".join(whole.split()).split("，") if part)[:6]
        for kind, first, second in (("whole", whole, whole), ("near", whole, near), ("short", short, short)):
            texts |= {f"{lang}-{kind}": first, f"{lang}-{kind}-copy": second}
            of[f"{lang}-{kind}-copy"] = f"{lang}-{kind}"
        texts.pop(f"{lang}-near")
        of[f"{lang}-near-copy"] = f"{lang}-whole"
    return texts, of


def test_copies_are_found_in_scripts_without_spaces(declarations: dict[str, str], tmp_path: Path) -> None:
    texts, of = copies(declarations)
    # A label of another language changes nothing, and there need be no language rule at all.
    mostly = "Posted by admin in News and Features, five comments so far. " + declarations["jpn"][2000:2900]
    texts |= {"mostly": mostly, "mostly-copy": mostly.replace("すべて", "すベて", 1)}
    texts |= {"emoji": "🎉🎉 !!", "emoji-copy": "🎉🎉 !!", "two": "Not found", "two-copy": "not found."}
    texts |= {"other-two": "Not here", "other-emoji": "🎈 ??"}
    of |= {"mostly-copy": "mostly", "emoji-copy": "emoji", "two-copy": "two"}
    found = outcomes(tmp_path / "a", {"dedup": [{"rule": "minhash.v1", "preset": "fineweb"}]}, texts)
    assert found == {name: of.get(name) for name in texts}


#: Two forms of one text that a reader cannot tell apart.
SAME = {
    "no-break space": (
        "The ferry leaves the old harbour at noon.",
        "The ferry\u00a0leaves the  old\nharbour at noon.",
    ),
    "zero width": (
        "The ferry leaves the old harbour at dawn.",
        "\ufeffThe fer\u200bry leaves the old har\u00adbour at\u2060 dawn.",
    ),
    "direction": (
        "The ferry leaves the old harbour at one.",
        "\u200eThe ferry\u200f leaves the old harbour at \u202aone.\u202c",
    ),
    "quotes": (
        "She said \"it's 'late' - come\" to them all.",
        "She said “it’s ‘late’ – come” to them all.",
    ),
    "accents": (
        "Ångström naïve résumé, a café in Málaga.",
        "A\u030angstro\u0308m nai\u0308ve re\u0301sume\u0301, a cafe\u0301 in Ma\u0301laga.",
    ),
    "case": (
        "The Ferry LEAVES the old harbour at two.",
        "the ferry leaves the old Harbour at two.",
    ),
    "widths": (
        "The ferry 42 leaves the harbour at three.",
        "Ｔｈｅ ｆｅｒｒｙ ４２ ｌｅａｖｅｓ ｔｈｅ ｈａｒｂｏｕｒ ａｔ ｔｈｒｅｅ．",
    ),
    "ligatures": (
        "Five flat offices find efficient staff.",
        "Five ﬂat oﬃces ﬁnd eﬃcient staﬀ.",
    ),
    "kana": (
        "カタカナのテキストです。ガイドブック",
        "ｶﾀｶﾅのﾃｷｽﾄです。ｶﾞｲﾄﾞﾌﾞｯｸ",
    ),
    "hangul": (
        "배는 정오에 항구를 떠난다 오늘",
        "\u1107\u1162\u1102\u1173\u11ab 정오에 항구를 떠난다 오늘",
    ),
    "ellipsis": (
        "And then the ferry left the harbour...",
        "And then the ferry left the harbour…",
    ),
    "joiners": (
        "می\u200cخواهم به خانه بروم امروز عصر",
        "میخواهم به خانه بروم امروز عصر",
    ),
    "wave dash": (
        "The ferry leaves at noon 10〜12 today.",
        "The ferry leaves at noon 10～12 today.",
    ),
    "variation": (
        "A red heart ❤ for you and for me.",
        "A red heart ❤\ufe0f for you and for me.",
    ),
}
#: Texts that a reader can tell apart.
DIFFERENT = {
    "power": ("The sun holds 10⁶ earths or so.", "The sun holds 106 earths or so."),
    "words": ("The rapist left.", "Therapist left."),
    "columns": ("12 3", "1 23"),
    "accent": ("The resume is here.", "The résumé is here."),
    "hangul space": ("아버지가 방에 들어간다", "아버지 가방에 들어간다"),
}
LAYOUT = {
    "line break": (
        "渡轮中午离开港口，随着潮水返回。这是中文。",
        "渡轮中午离开\n港口，随着潮水返回。\n这是中文。",
    ),
    "autospace": ("東京都はTokyoです。", "東京都は Tokyo です。"),
}


def test_copies_that_look_the_same_are_found(tmp_path: Path) -> None:
    texts, of = {}, {}
    for name, (first, second) in (SAME | DIFFERENT | LAYOUT).items():
        texts |= {name: first, f"{name}-copy": second}
        if name not in DIFFERENT:
            of[f"{name}-copy"] = name
    found = outcomes(tmp_path / "exact", {"dedup": [{"rule": "exact.v1"}]}, texts)
    assert found == {name: of.get(name) for name in texts}

    texts = {name: text for name, text in texts.items() if name.removesuffix("-copy") in SAME}
    for fold in ("fineweb", "lower"):
        minhash = {"rule": "minhash.v1", "fold": fold, "bands": 14, "rows": 8}
        found = outcomes(tmp_path / fold, {"dedup": [minhash]}, texts)
        missed = {name for name in texts if found[name] != of.get(name)}
        # Marks are words under `lower`: a curly quotation mark is another word there than a straight one.
        assert missed == ({"quotes-copy", "wave dash-copy"} if fold == "lower" else set())


#: Lines that show nothing.
BLANK = (" ", "\t", "\u00a0", "\u200b", "\u2003 ", "\ufeff", "\r", "\u3000", "\u00ad \u2060", "\u3164")


@pytest.mark.parametrize("counting", ["datatrove", "dclm"])
def test_a_line_that_shows_nothing_is_no_line(
    counting: str, declarations: dict[str, str], tmp_path: Path
) -> None:
    lines = [line for line in declarations["eng"].split("\n") if len(line) > 80][:30]
    rules = [
        {"rule": "gopher_repetition.v1", "counting": counting},
        {"rule": "gopher_quality.v1", "counting": counting},
        {"rule": "fineweb_quality.v1"},
        {"rule": "length.v1"},
    ]
    texts = {"empty": "\n\n".join(lines)}
    texts |= {f"{number}": f"\n{blank}\n".join(lines) for number, blank in enumerate(BLANK)}
    texts |= {f"{number}-ends": f"{blank}\n{texts['empty']}\n{blank}\n" for number, blank in enumerate(BLANK)}
    assert outcomes(tmp_path / "a", {"rules": rules}, texts) == dict.fromkeys(texts)
    for row in table(tmp_path / "a" / "run", "signals"):
        assert row["length.lines"] == 30
        assert row[f"gopher_repetition.{counting}.dup_line_ratio"] == 0
        assert row[f"gopher_repetition.{counting}.dup_paragraph_ratio"] == 0
        assert row["fineweb_quality.char_dup_ratio"] == 0


#: A page of documentation as a reader knows it: most of its marks stand between words.
MANUAL = "\n".join(
    f'grep [-{letter}] ( "--{letter}" ) : the option of the program that is used with {letter} , [ see ] 2 .'
    for letter in "abcdefghijklmnop"
)


def test_words_are_those_of_each_source(tmp_path: Path) -> None:
    def verdicts(name: str, **own: Any) -> dict[str, str | None]:
        return outcomes(tmp_path / name, {"rules": [{"rule": "gopher_quality.v1", **own}]}, texts)

    words = "the people of this harbour never went there again because nothing ever came back " * 6
    lines = [f"A line that is number {number} and has the word" for number in range(10)]
    texts = {
        "stop words": words.replace("the ", "THE ").replace("of ", "Of "),
        "bullets": "\n\n".join(f"● {line}" for line in lines),
        "stars": "\n".join(f"* {line}" for line in lines),
        "ellipses": "\n".join(f"{line} . . ." for line in lines),
        "symbols": words + "# ... . . . … so " * 3,
        "manual": MANUAL.replace("] 2 .", "] 2 . ; : ( ) , [ ]"),
        "commas": "a, b; " * 30 + words,
        "japanese": "渡し船は正午に港を出発し、潮とともに戻ってくる。" * 12,
    }
    dclm = verdicts("dclm", counting="dclm", min_mean_word_length=1, stop_words=["the", "of", "は"])
    assert dclm == {
        "stop words": None,
        "bullets": "gopher_quality.v1.max_bullet_line_ratio",
        "stars": "gopher_quality.v1.max_bullet_line_ratio",
        "ellipses": "gopher_quality.v1.max_ellipsis_line_ratio",
        "symbols": "gopher_quality.v1.max_symbol_ratio",
        "manual": "gopher_quality.v1.min_alpha_word_ratio",
        "commas": None,
        "japanese": None,
    }
    theirs = verdicts(
        "datatrove", counting="datatrove", min_mean_word_length=1, stop_words=["the", "of", "は"]
    )
    assert theirs == {
        "stop words": "gopher_quality.v1.min_stop_words",
        "bullets": "gopher_quality.v1.min_stop_words",
        "stars": "gopher_quality.v1.min_stop_words",
        "ellipses": "gopher_quality.v1.min_alpha_word_ratio",
        "symbols": None,
        "manual": "gopher_quality.v1.min_alpha_word_ratio",
        "commas": "gopher_quality.v1.min_alpha_word_ratio",
        "japanese": "gopher_quality.v1.min_stop_words",
    }


def test_c4_lines_in_any_script(declarations: dict[str, str], tmp_path: Path) -> None:
    texts = {
        "chinese": "渡轮中午离开港口，随着潮水返回。\n菜单\n这是一个用中文写的句子！\n这里没有句号的一行文字",
        "long": "渡轮中午离开港口，随着潮水返回" * 100 + "。",
        "japanese": "彼は「帰る」と言った。\n「もう帰ります」\nメニュー\nホームへ戻る……\nこれは終わり？",
        "thai": "เรือข้ามฟากออกจากท่าเรือตอนเที่ยง\nเมนู\nและกลับมาพร้อมกับน้ำขึ้นทุกวัน",
        "hindi": "नाव दोपहर को बंदरगाह छोड़ती है।\nमुख पृष्ठ\nयह पंक्ति पूरी नहीं होती है",
        "arabic": "هل تغادر العبارة الميناء عند الظهر؟\nالصفحة الرئيسية للموقع",
        "amharic": "ጀልባው እኩለ ቀን ላይ ወደቡን ይለቃል።\nዋና ገጽ ምናሌ እዚህ",
        "greek": "Πότε φεύγει το πλοίο από το λιμάνι;\nΑρχική σελίδα του ιστότοπου",
        "mixed": "他每天都在学习使用Python。\nฉันชอบเรียนภาษา Python\n彼は毎日Python\nPython auf ไทย zu lernen",
        "english": 'The ferry leaves “at noon.”\nThe ferry leaves "at noon."\nThe ferry leaves at noon...',
    }
    rules = [{"rule": "c4.v1", "min_sentences": None}]
    outcomes(tmp_path / "a", {"rules": rules}, texts)
    kept = kept_texts(tmp_path / "a")
    numbers = {
        name: [texts[name].split("\n").index(line) for line in kept[name].split("\n")] for name in kept
    }
    assert numbers == {
        "chinese": [0, 2], "long": [0], "japanese": [0, 1, 4], "thai": [0, 2], "hindi": [0], "arabic": [0],
        "amharic": [0], "greek": [0], "mixed": [0, 1], "english": [1],
    }  # fmt: skip

    # Each sentence of these is seen to end.
    counted = {
        "zh": "这是第一句话。" * 5,
        "hi": "यह एक वाक्य है। " * 5,
        "am": "ይህ ዓረፍተ ነገር ነው። " * 5,
        "my": "ဤသည်စာကြောင်းဖြစ်သည်။" * 5,
        "km": "ខ្ញុំទៅផ្សារម្សិលមិញ។ " * 5,
        "bo": "བོད་ཡིག་འདི་ཡིན། " * 5,
    }
    outcomes(tmp_path / "b", {"rules": [{"rule": "c4.v1"}]}, counted)
    assert [row["c4.sentences"] for row in table(tmp_path / "b" / "run", "signals")] == [5] * 6


@pytest.mark.usefixtures("werp_data")  # the lists are their publishers'
@pytest.mark.parametrize(
    ("list_", "texts"),
    [
        (
            "ja",
            {
                "これはオッパイという言葉です。": True,
                "東京で食事をしました。女の子とグロ。": False,
                "smallというsmは単語です。": False,
            },
        ),
        (
            "zh",
            {
                "这是一个强奸案件的报道。": True,
                "这里的可能性很大，女性很多。": False,
            },
        ),
        (
            "th",
            {
                "เขาพ\u0e39ดว\u0e48าควยแล\u0e49วเด\u0e34นไป": True,
                "เร\u0e37อออกจากท\u0e48าเร\u0e37อ": False,
            },
        ),
        (
            "en",
            {
                "What a bitch he is.": True,
                "Scunthorpe is a town.": False,
                "これはfuckという単語です。": True,
                "fuckable?": False,
            },
        ),
        (
            "ko",
            {
                "그 강간 사건은 끝났다": True,
                "강강술래를 추었다": False,
            },
        ),
        (
            "ru",
            {
                "это блядь слово": True,
                "обсуждение дела": False,
            },
        ),
    ],
)
def test_bad_words_have_the_boundaries_of_their_script(
    list_: str, texts: dict[str, bool], tmp_path: Path
) -> None:
    lines = {"min_words_per_line": 0, "terminal_punctuation": False, "min_sentences": None}
    rules = [{"rule": "c4.v1", "bad_words": f"ldnoobw/{list_}", **lines}]
    found = outcomes(tmp_path / "a", {"rules": rules}, {str(n): text for n, text in enumerate(texts)})
    assert [rule == "c4.v1.bad_words" for rule in found.values()] == list(texts.values())


def test_without_a_segmenter_a_line_is_a_word(declarations: dict[str, str], tmp_path: Path) -> None:
    text = declarations["cmn_hans"].replace("\n", "")[:800]
    for segmenter, least in (("icu", 300), (None, 0)):
        folder = tmp_path / str(segmenter)
        outcomes(folder, {"segmenter": segmenter, "rules": [{"rule": "length.v1"}]}, {"a": text})
        words = table(folder / "run", "signals")[0]["length.words"]
        assert words > least if least else words < 60
