"""Other programs for the same task: the same text, questions, weights and machine.

Each is used as its documentation shows. A program that brings no splitter gets paragraphs, those
longer than the encoder reads cut at sentences.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.process import Clock, peak_memory

READ = 480
"""Characters of a paragraph that the encoder surely reads: 512 tokens."""

DEEP = 100
"""Hits looked through for the answer."""

TOP_K = 5
"""Hits asked for where the time is taken."""

Texts = dict[str, str]
"""Documents by name."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a chunk comes from."""

    name: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A hit of another program, in the form that ``search.evaluation.answers`` judges."""

    document: Source
    text: str


Ask = Callable[[str, int], list[Chunk]]
"""From a question and a number to the best chunks, best first."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program: ``build`` makes its index in a folder, ``open`` opens that; how it is set up."""

    build: Callable[[Texts, str, Path], None]
    open: Callable[[str, Path], Ask]
    setting: str


def measure_build(
    clock: Clock, peer: str, corpus: str, model: str, folder: str
) -> dict[str, float]:
    """Build an index anew; return the seconds from the start of the process, and the memory."""
    target = Path(folder)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    PEERS[peer].build(_texts(corpus), model, target)
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    return {"build": clock.since_start(), "peak_mb": peak_memory(), "bytes": size}


def measure_cold(clock: Clock, peer: str, question: str, model: str, folder: str) -> float:
    """Return the seconds from the start of the process to its first answer."""
    PEERS[peer].open(model, Path(folder))(question, TOP_K)
    return clock.since_start()


def measure_questions(
    clock: Clock, peer: str, questions: str, model: str, folder: str, limit: int
) -> dict[str, Any]:
    """Return the seconds of each question in a warm process, the memory, and who was found.

    ``limit`` takes that many questions, 0 all. ``ranks`` are of the first counting hit of ``DEEP``,
    0 if there is none; ``length`` is the mean of the first hits' characters.
    """
    from search.evaluation import answers, load_questions

    asked = load_questions(Path(questions))
    asked = asked[:: max(1, len(asked) // limit)][:limit] if limit else asked
    ask = PEERS[peer].open(model, Path(folder))
    for question in asked[:3]:
        ask(question.text, TOP_K)
    seconds, ranks, lengths = [], [], []
    for question in asked:
        begun = time.perf_counter()
        ask(question.text, TOP_K)
        seconds.append(time.perf_counter() - begun)
    memory = peak_memory()
    for question in (question for question in asked if question.quotes):
        hits = ask(question.text, DEEP)
        right = (i for i, hit in enumerate(hits, 1) if answers(hit, question))  # type: ignore[arg-type]
        ranks.append(next(right, 0))
        lengths += [len(hit.text) for hit in hits[:1]]
    length = sum(lengths) / max(1, len(lengths))
    return {"warm": seconds, "ranks": ranks, "peak_mb": memory, "length": length}


def _texts(corpus: str) -> Texts:
    """Read a report, or a JSON Lines file of documents with ``id`` and ``text``."""
    file = Path(corpus)
    if file.suffix != ".jsonl":
        return {file.name: file.read_text("utf-8")}
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return {row["id"]: row["text"] for row in rows}


def _chunks(texts: Texts) -> list[Chunk]:
    """Return the paragraphs of all documents, none longer than ``READ`` if its sentences allow."""
    return [
        Chunk(Source(name), piece)
        for name, text in texts.items()
        for line in text.splitlines()
        for piece in _pieces(line.strip())
    ]


def _pieces(line: str) -> list[str]:
    pieces: list[str] = []
    for sentence in re.findall(r"[^。！？；]+[。！？；]*", line):
        if pieces and len(pieces[-1]) + len(sentence) <= READ:
            pieces[-1] += sentence
        else:
            pieces.append(sentence)
    return pieces


def _keep(chunks: Sequence[Chunk], folder: Path) -> None:
    rows = [(chunk.document.name, chunk.text) for chunk in chunks]
    (folder / "chunks.json").write_text(json.dumps(rows, ensure_ascii=False), "utf-8")


def _kept(folder: Path) -> list[Chunk]:
    rows = json.loads((folder / "chunks.json").read_text("utf-8"))
    return [Chunk(Source(name), text) for name, text in rows]


def _own_build(texts: Texts, _: str, folder: Path) -> None:
    from index import load_encoder, parse
    from index.library import insert, publish

    encoder = load_encoder()
    for name, text in texts.items():
        insert(parse(text.encode(), name=name), folder, encoder=encoder, quiet=True)
    publish(folder)


def _own_open(_: str, folder: Path, *, reads: bool = True) -> Ask:
    from dataclasses import replace

    from search import pipeline
    from search.query import normalise

    if not reads:
        pipeline.load_reader = lambda: None  # type: ignore[assignment]
    opened = pipeline.open_once(folder)
    opened = opened if reads else replace(opened, reader=None)

    def ask(question: str, count: int) -> list[Chunk]:
        if count == TOP_K:
            hits = pipeline.answer(normalise(question), opened, top_k=count)
            return [Chunk(Source(hit.document.name), hit.text) for hit in hits]
        ids = [r.passage_id for r in pipeline.rank(normalise(question), opened).ranked[:count]]
        found = opened.library.passages(ids)
        return [Chunk(Source(found[id].document.name), found[id].text) for id in ids]

    return ask


def _txtai_build(texts: Texts, model: str, folder: Path, *, hybrid: bool = False) -> None:
    from txtai import Embeddings

    chunks = _chunks(texts)
    embeddings = Embeddings(
        path=model,
        content=True,
        hybrid=hybrid,
        instructions={"query": "query: ", "data": "passage: "},
    )
    embeddings.index((i, chunk.text, None) for i, chunk in enumerate(chunks))
    embeddings.save(str(folder / "index"))
    _keep(chunks, folder)


def _txtai_open(_: str, folder: Path) -> Ask:
    from txtai import Embeddings

    embeddings = Embeddings()
    embeddings.load(str(folder / "index"))
    chunks = _kept(folder)
    return lambda question, count: [
        chunks[int(hit["id"])] for hit in embeddings.search(question, count)
    ]


def _llama_model(model: str) -> None:
    from llama_index.core import Settings
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    Settings.llm = None
    Settings.embed_model = HuggingFaceEmbedding(
        model_name=model, query_instruction="query: ", text_instruction="passage: "
    )
    Settings.chunk_size, Settings.chunk_overlap = 512, 50  # as its guide to chunk sizes has it


def _llama_build(texts: Texts, model: str, folder: Path) -> None:
    import faiss
    from llama_index.core import Document, StorageContext, VectorStoreIndex
    from llama_index.vector_stores.faiss import FaissVectorStore

    from index.e5 import DIM

    _llama_model(model)
    store = FaissVectorStore(faiss_index=faiss.IndexFlatIP(DIM))
    context = StorageContext.from_defaults(vector_store=store)
    documents = [Document(text=text, doc_id=name) for name, text in texts.items()]
    index = VectorStoreIndex.from_documents(documents, storage_context=context)
    index.storage_context.persist(persist_dir=str(folder))


def _llama_open(model: str, folder: Path) -> Ask:
    from llama_index.core import StorageContext, load_index_from_storage
    from llama_index.vector_stores.faiss import FaissVectorStore

    _llama_model(model)
    store = FaissVectorStore.from_persist_dir(str(folder))
    context = StorageContext.from_defaults(vector_store=store, persist_dir=str(folder))
    index = load_index_from_storage(context)

    def ask(question: str, count: int) -> list[Chunk]:
        count = min(count, store.client.ntotal)  # it trips over faiss's -1
        hits = index.as_retriever(similarity_top_k=count).retrieve(question)
        return [Chunk(Source(hit.node.ref_doc_id), hit.node.get_content()) for hit in hits]

    return ask


def _haystack_build(texts: Texts, model: str, folder: Path) -> None:
    from haystack import Document, Pipeline
    from haystack.components.preprocessors import RecursiveDocumentSplitter
    from haystack.components.writers import DocumentWriter
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from haystack_integrations.components.embedders.sentence_transformers import (
        SentenceTransformersDocumentEmbedder,
    )

    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    # By words and English sentences as it is; Chinese has neither.
    splitter = RecursiveDocumentSplitter(
        split_length=READ, split_unit="char", separators=["\n\n", "\n", "。"]
    )
    pipeline = Pipeline()
    pipeline.add_component("split", splitter)
    pipeline.add_component(
        "embed",
        SentenceTransformersDocumentEmbedder(model=model, prefix="passage: ", progress_bar=False),
    )
    pipeline.add_component("write", DocumentWriter(store))
    pipeline.connect("split", "embed")
    pipeline.connect("embed", "write")
    documents = [Document(content=text, meta={"name": name}) for name, text in texts.items()]
    pipeline.run({"split": {"documents": documents}})
    store.save_to_disk(str(folder / "store.json"))


def _haystack_open(model: str, folder: Path) -> Ask:
    from haystack import Pipeline
    from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from haystack_integrations.components.embedders.sentence_transformers import (
        SentenceTransformersTextEmbedder,
    )

    store = InMemoryDocumentStore.load_from_disk(str(folder / "store.json"))
    pipeline = Pipeline()
    pipeline.add_component(
        "embed",
        SentenceTransformersTextEmbedder(model=model, prefix="query: ", progress_bar=False),
    )
    pipeline.add_component("retrieve", InMemoryEmbeddingRetriever(store))
    pipeline.connect("embed.embedding", "retrieve.query_embedding")

    def ask(question: str, count: int) -> list[Chunk]:
        found = pipeline.run({"embed": {"text": question}, "retrieve": {"top_k": count}})
        hits = found["retrieve"]["documents"]
        return [Chunk(Source(hit.meta["name"]), hit.content) for hit in hits]

    return ask


def _plain_build(texts: Texts, model: str, folder: Path) -> None:
    import numpy as np
    from sentence_transformers import SentenceTransformer

    chunks = _chunks(texts)
    encoder = SentenceTransformer(model)
    np.save(folder / "vectors.npy", encoder.encode_document([chunk.text for chunk in chunks]))
    _keep(chunks, folder)


def _plain_open(model: str, folder: Path) -> Ask:
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import semantic_search

    encoder = SentenceTransformer(model)
    vectors, chunks = np.load(folder / "vectors.npy"), _kept(folder)

    def ask(question: str, count: int) -> list[Chunk]:
        hits = semantic_search(encoder.encode_query([question]), vectors, top_k=count)[0]
        return [chunks[int(hit["corpus_id"])] for hit in hits]

    return ask


def _bigrams(text: str) -> list[str]:
    text = re.sub(r"[\W_]+", " ", text.lower())
    return [word[i : i + 2] for word in text.split() for i in range(max(1, len(word) - 1))]


def _words(text: str) -> list[str]:
    import jieba

    return [word for word in jieba.lcut(text.lower()) if re.match(r"\w", word)]


def _bm25_build(texts: Texts, folder: Path, cut: Callable[[str], list[str]]) -> None:
    import bm25s

    chunks = _chunks(texts)
    retriever = bm25s.BM25()
    retriever.index([cut(chunk.text) for chunk in chunks], show_progress=False)
    retriever.save(str(folder), show_progress=False)
    _keep(chunks, folder)


def _bm25_open(folder: Path, cut: Callable[[str], list[str]]) -> Ask:
    import bm25s

    retriever = bm25s.BM25.load(str(folder), show_progress=False)
    chunks = _kept(folder)

    def ask(question: str, count: int) -> list[Chunk]:
        count = min(count, len(chunks))
        found, _ = retriever.retrieve([cut(question)], k=count, show_progress=False)
        return [chunks[i] for i in found[0].tolist()]

    return ask


_PARAGRAPHS = f"自然段，超过 {READ} 字的在句末切开"

PEERS = {
    "依据": Peer(_own_build, _own_open, "自然段，另有条目、句、分句三种粒度；8 位；读段落"),
    "依据，不读段落": Peer(
        _own_build,
        lambda model, folder: _own_open(model, folder, reads=False),
        "同上，不载入读解模型",
    ),
    "txtai": Peer(_txtai_build, _txtai_open, _PARAGRAPHS),
    "txtai hybrid": Peer(
        lambda texts, model, folder: _txtai_build(texts, model, folder, hybrid=True),
        _txtai_open,
        f"{_PARAGRAPHS}；加它自带的 BM25",
    ),
    "LlamaIndex + FAISS": Peer(
        _llama_build, _llama_open, "SentenceSplitter，512 个词元，重叠 50；IndexFlatIP"
    ),
    "Haystack": Peer(
        _haystack_build, _haystack_open, f"RecursiveDocumentSplitter，段、行、句，至多 {READ} 字"
    ),
    "sentence-transformers": Peer(_plain_build, _plain_open, f"{_PARAGRAPHS}；semantic_search"),
    "bm25s 字二元组": Peer(
        lambda texts, _, folder: _bm25_build(texts, folder, _bigrams),
        lambda _, folder: _bm25_open(folder, _bigrams),
        f"{_PARAGRAPHS}；没有向量",
    ),
    "bm25s jieba": Peer(
        lambda texts, _, folder: _bm25_build(texts, folder, _words),
        lambda _, folder: _bm25_open(folder, _words),
        f"{_PARAGRAPHS}；没有向量",
    ),
}
