"""Reports into passages, passages into vectors, both into a library on disk."""

from index.documents import parse, read
from index.encoder import Encoder, load_encoder
from index.errors import ReportError
from index.library import add, default_location, open_library, remove
from index.passages import passages
from index.store import Library
from index.types import Document, Field, Passage, Section, Segment
from index.verify import verify

__all__ = [
    "Document",
    "Encoder",
    "Field",
    "Library",
    "Passage",
    "ReportError",
    "Section",
    "Segment",
    "add",
    "default_location",
    "load_encoder",
    "open_library",
    "parse",
    "passages",
    "read",
    "remove",
    "verify",
]
