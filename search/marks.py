"""What to mark in a passage: the sentence that matched best and what answers inside it."""

from collections.abc import Sequence

from index.store import Match
from index.types import Span


def marks(text: str, matches: Sequence[Match]) -> tuple[Span, ...]:
    """Return spans in ``text``: the best sentence, then the best clause if it is not all of it.

    A sentence is as good as the best of its clauses or itself.
    """
    fine = [match for match in matches if match.segment.grain != "item"] or list(matches)
    best = max(fine, key=lambda match: match.cosine).segment
    sentence = min(
        (
            match.segment
            for match in matches
            if match.segment.start <= best.start
            and best.end <= match.segment.end
            and match.segment.grain != "clause"
        ),
        key=lambda segment: segment.end - segment.start,
        default=best,
    )
    inside = [
        match
        for match in matches
        if match.segment.grain == "clause"
        and sentence.start <= match.segment.start
        and match.segment.end <= sentence.end
    ]
    clause = max(inside, key=lambda match: match.cosine).segment if inside else sentence
    spans = [_trim(text, sentence.start, sentence.end), _trim(text, clause.start, clause.end)]
    return tuple(dict.fromkeys(spans))


def _trim(text: str, start: int, end: int) -> Span:
    """Leave out blanks at both ends and the comma that a clause ends with."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and (text[end - 1].isspace() or text[end - 1] in "，；：,;"):
        end -= 1
    return start, end
