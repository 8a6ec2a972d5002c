"""How a report is kept in Milvus: whole, as JSON; and how its ids and terms are written."""

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from hashlib import blake2b
from typing import Any

import numpy as np

from index.contract import Prepared
from index.types import Document, Field, Passage, Report, Section, Segment, Span

PART = 16_000
"""Characters of a row: 65,535 bytes are the most that a field holds."""

PLACES = 20
"""Bits of an id that count passages or segments; those above are the document's."""

_KNOWN = [each.name for each in fields(Report)]


@dataclass(frozen=True, slots=True)
class Record:
    """A report with its headings and passages."""

    document: Document
    headings: tuple[Section, ...]
    passages: tuple[Passage, ...]


def pack(prepared: Prepared) -> str:
    """Return a report with its headings and passages as JSON."""
    document = prepared.document
    places = {section: place for place, section in enumerate(prepared.headings)}
    return json.dumps(
        {
            "known": as_json(document),
            "text": document.text,
            "fields": [(field.role, field.spans) for field in document.fields],
            "furniture": document.furniture,
            "pages": document.pages,
            "headings": [(s.path, s.kind, s.span, s.run_in) for s in prepared.headings],
            "passages": [
                (p.number, p.spans, p.role, places[p.section] if p.section else None, p.kind,
                 [(s.grain, s.start, s.end) for s in p.segments], p.header)
                for p in prepared.passages
            ],
        },
        ensure_ascii=False,
    )  # fmt: skip


def unpack(stored: str) -> Record:
    """Return what ``pack`` packed."""
    told = json.loads(stored)
    document = Document(
        **_known(told["known"]),
        text=told["text"],
        fields=tuple(Field(role, _spans(spans)) for role, spans in told["fields"]),
        furniture=_spans(told["furniture"]),
        pages=tuple(told["pages"]),
    )
    headings = tuple(
        Section(tuple(path), kind, (start, end), run_in)
        for path, kind, (start, end), run_in in told["headings"]
    )
    passages = tuple(
        Passage(
            document, number, _spans(spans), role,
            None if place is None else headings[place], kind,
            tuple(Segment(*segment) for segment in segments), _spans(header),
        )
        for number, spans, role, place, kind, segments, header in told["passages"]
    )  # fmt: skip
    return Record(document, headings, passages)


def as_json(document: Report) -> dict[str, Any]:
    """Return what is known of a report, ready for JSON."""
    known = {name: getattr(document, name) for name in _KNOWN}
    return known | {"date": document.date and document.date.isoformat()}


def report_of(stored: str) -> Report:
    """Return what ``as_json`` told of a report."""
    return Report(**_known(json.loads(stored)))


def _known(told: dict[str, Any]) -> dict[str, Any]:
    return told | {"date": told["date"] and date.fromisoformat(told["date"])}


def _spans(stored: Iterable[Sequence[int]]) -> tuple[Span, ...]:
    return tuple((start, end) for start, end in stored)


def fitting(headings: list[str]) -> list[str]:
    """Return the beginning of the headings that fits into a field: hardly any report has more."""
    ends = itertools.accumulate(len(heading) + 6 for heading in headings)
    return [heading for heading, end in zip(headings, ends, strict=True) if end <= PART]


def word(term: str) -> str:
    """Return a term as letters and digits alone, 13 of them, so that every tokenizer leaves it whole.

    Of 64 bits: Milvus hashes the words of its sparse vectors to 32 bits itself.
    """
    return np.base_repr(int.from_bytes(blake2b(term.encode(), digest_size=8).digest()), 36).lower()
