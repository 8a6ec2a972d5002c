"""Results as HTML, and the style and script that go with it; ``ui.py`` puts them on the page."""

from pathlib import Path

STYLE = Path(__file__).with_name("page.css")
SCRIPT = Path(__file__).with_name("page.js")
