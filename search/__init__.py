"""Questions in plain Chinese to cited passages."""

from index.errors import ReportError
from search.pipeline import search
from search.types import Hit, Results

__all__ = ["Hit", "ReportError", "Results", "search"]
