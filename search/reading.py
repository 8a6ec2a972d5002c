"""A whole report in reading order, for whoever wants to look at a passage in its place."""

from index.contract import Store
from index.types import Document, Passage, Section


def reading(library: Store, document: Document) -> tuple[Section | Passage, ...]:
    """Return the headings and passages of a report in the order they stand in it.

    A run-in heading is part of its passage and not listed.
    """
    headings = [s for s in library.headings(document.sha256) if not s.run_in]
    passages = library.passages(document=document.sha256).values()
    return tuple(sorted((*headings, *passages), key=_start))


def _start(part: Section | Passage) -> int:
    return part.span[0] if isinstance(part, Section) else part.spans[0][0]
