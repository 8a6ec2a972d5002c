"""The reports of a library as an HTML table."""

from collections.abc import Sequence

from index.contract import Entry
from search.web.markup import escape, note

_HEADINGS = ("报告", "发文机关", "地区", "年度", "文号", "日期", "段落")


def shelf(entries: Sequence[Entry], *, change: bool) -> str:
    """Return a row for each report, with a button that removes it if that is allowed."""
    if not entries:
        return note("资料库里还没有报告。")
    headings = (*_HEADINGS, "操作") if change else _HEADINGS
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    rows = "".join(_row(entry, change=change) for entry in entries)
    return (
        f'<section class="yj" aria-label="资料库"><p class="yj-tools">{len(entries)} 份报告</p>'
        f'<table class="yj-compare"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></section>'
    )


def _row(entry: Entry, *, change: bool) -> str:
    document = entry.document
    title = escape(document.title or document.name)
    values = (
        document.issuer, document.region, document.year, document.doc_number, document.date,
        entry.passages,
    )  # fmt: skip
    cells = "".join(f"<td>{'—' if v is None else escape(str(v))}</td>" for v in values)
    button = (
        f'<td><button type="button" class="yj-remove" data-id="{entry.id}" data-title="{title}"'
        f' aria-label="移除{title}">移除</button></td>'
    )
    return f"<tr><td>{title}</td>{cells}{button if change else ''}</tr>"
