"""Questions in plain Chinese to cited passages."""

from index.errors import ReportError
from search.check import Checked, check
from search.compare import Row, compare
from search.pipeline import search
from search.types import Answer, Hit, Results

__all__ = [
    "Answer",
    "Checked",
    "Hit",
    "ReportError",
    "Results",
    "Row",
    "check",
    "compare",
    "search",
]
