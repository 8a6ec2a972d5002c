"""What a search, a comparison or a check returns, as plain values ready for JSON."""

from typing import Any

from index.terminal import metadata
from index.types import Document, Passage
from search.check import Checked, Number, Quotation, Told
from search.citation import cite
from search.compare import Row
from search.types import Answer, Hit, Results

Record = dict[str, Any]


def of_results(results: Results) -> Record:
    """Return the hits of a question, and the answer if there is one."""
    return {
        "query": results.query,
        "found": results.found,
        "confidence": results.confidence,
        "answer": _answer(results.answer) if results.answer else None,
        "hits": [_hit(hit) for hit in results],
    }


def of_row(row: Row) -> Record:
    """Return what one report says."""
    return {
        "document": metadata(row.document),
        "number": row.number,
        "hit": _hit(row.hit) if row.hit else None,
    }


def of_checked(checked: Checked) -> Record:
    """Return what became of the quotations and numbers of a draft."""
    return {
        "quotations": [_quotation(each) for each in checked.quotations],
        "numbers": [_number(each) for each in checked.numbers],
    }


def of_passage(passage: Passage) -> Record:
    """Return a passage, where it stands and how it is cited."""
    return {
        "text": passage.text,
        "citation": cite(passage),
        "section": passage.path,
        "kind": passage.kind,
        "paragraph": passage.number,
        "page": passage.page,
        "spans": passage.spans,
        "verbatim": len(passage.spans) == 1,
        "header": passage.header_text,
        "document": metadata(passage.document),
    }


def _hit(hit: Hit) -> Record:
    also = [cite(passage) for passage in hit.also]
    return {**of_passage(hit.passage), "score": hit.score, "marks": hit.marks, "also": also}


def _answer(answer: Answer) -> Record:
    names = ("text", "start", "end", "confidence")
    return {**{name: getattr(answer, name) for name in names}, "citation": answer.hit.citation}


def _quotation(found: Quotation) -> Record:
    place = found.place
    return {
        "text": found.text,
        "start": found.start,
        "end": found.end,
        "verdict": found.verdict,
        "source": place.source if place else None,
        "citation": _cited(place.document, place.passages) if place else None,
        "alike": place.alike if place else None,
        "pieces": [{"kind": piece.kind, "text": piece.text} for piece in found.pieces],
    }


def _cited(document: Document, passages: tuple[Passage, ...]) -> str:
    """Return the citation of a place; that of a heading is the name of its report."""
    return cite(passages[0]) if passages else f"《{document.title or document.name}》"


def _number(found: Number) -> Record:
    return {
        "text": found.text,
        "start": found.start,
        "end": found.end,
        "verdict": found.verdict,
        "told": _told(found.told) if found.told else None,
        "elsewhere": _told(found.elsewhere) if found.elsewhere else None,
    }


def _told(told: Told) -> Record:
    return {"text": told.amount.text, "citation": cite(told.passage)}
