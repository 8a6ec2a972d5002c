"""Index text: what meets what."""

import itertools
import unicodedata
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.terms import _FOLDED, _ODD, fold, folded, holding, is_blank, plain, terms, tidy


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("七十七个单位", "77个单位"),
        ("７７个单位", "77 个单位"),
        ("最多跑一次", "最多跑1次"),
        ("七五普法", "75普法"),
        ("三十万余条", "30 万余条"),
        ("二○一九年", "2019年"),
        ("12,644条", "12644条"),
        ("12，644条", "12644条"),
        ("二十一点八四亿", "21.84亿"),
        ("一万两千", "12000"),
        ("一万五", "15000"),
        ("廿三", "23"),
        ("百分之五十", "50%"),
        ("行政複議", "行政复议"),
        ("〔2020〕23号", "[2020]23号"),
        ("（草案）", "(草案)"),
        ("Law", "law"),
        ("⼯作", "工作"),
    ],
)
def test_forms_that_mean_the_same_have_the_same_terms(one: str, other: str) -> None:
    assert terms(one) == terms(other)


def test_terms_are_bigrams_numbers_and_words() -> None:
    assert terms("受理957件，GDP 增长3.5%") == ["受理", "957", "件", "gdp", "增长", "3.5"]


def test_a_run_of_numerals_that_is_no_number_stays() -> None:
    assert terms("千百") == ["千百"]


@given(st.text("零〇○一二三九十百千万两廿点,.5", max_size=12))
def test_every_numeral_has_terms(text: str) -> None:
    assert all(term for term in terms(text))


nfkc = partial(unicodedata.normalize, "NFKC")
_SOME = st.text("行政复议受理件七十百万两点GDPgdp12,.、，。 \u200bé\ue000", max_size=12)


@given(st.lists(_SOME, max_size=4), _SOME)
def test_stretches_hold_the_terms_that_they_have(texts: list[str], question: str) -> None:
    wanted = terms(question)
    edges = [0, *itertools.accumulate(map(len, texts))]
    stretches = folded("".join(texts), list(itertools.pairwise(edges)))
    for term in wanted:
        assert holding(stretches, term) == [i for i, own in enumerate(texts) if term in terms(own)]


def test_a_stretch_holds_what_runs_over_the_edge_of_another() -> None:
    stretches = folded("行政复议2019", [(0, 8), (2, 5), (5, 8)])
    held = {term: holding(stretches, term) for term in ("政复", "复议", "2019", "201")}
    assert held == {"政复": [0], "复议": [0, 1], "2019": [0], "201": []}


@given(st.text())
def test_folding_at_once_is_folding_each(text: str) -> None:
    shown = "".join("" if is_blank(c) and not c.isspace() else nfkc(plain(c)) for c in text)
    assert fold(text) == fold(nfkc(shown))


def test_what_is_not_looked_at_is_as_it_is_folded() -> None:
    for code in range(0x110000):
        assert _ODD.match(chr(code)) or _FOLDED[chr(code)] == chr(code)


def test_folding_drops_what_shows_nothing() -> None:
    assert fold("行\u200b政\0复\ud800议") == "行政复议"


def test_tidying_drops_blanks_beside_chinese_only() -> None:
    assert tidy(" 2019 年度 A  B“好 ” ") == "2019年度A B“好”"
