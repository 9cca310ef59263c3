"""HTML pages that are one file: the page, its style, its security policy and its tables."""

from __future__ import annotations

from collections.abc import Container, Sequence
from html import escape

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Content-Security-Policy: the page loads nothing and runs no script."""

STYLE = """
:root { color-scheme: light dark;
  --ground: #fff; --raised: #f6f8fa; --line: #d0d7de; --faint-line: #eaeef2; --text: #1f2328; --faint: #57606a;
  --accent: #0969da; --warn: #9a4a00; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #0d1117; --raised: #161b22; --line: #30363d; --faint-line: #21262d; --text: #e6edf3; --faint: #9198a1;
  --accent: #4493f8; --warn: #f0a04b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1500px; padding: 1.5rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
p { margin: 0 0 .8rem; overflow-wrap: anywhere; }
section { border-top: 1px solid var(--line); margin-top: 1.5rem; padding-top: 1.2rem; }
.remark, footer, figcaption { color: var(--faint); font-size: .875rem; }
figure { margin: 0; }
.wide { overflow-x: auto; margin-bottom: .6rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .925rem; }
th, td { padding: .35rem .8rem; border-bottom: 1px solid var(--faint-line); text-align: left; vertical-align: middle; }
th { color: var(--faint); font-weight: 600; border-bottom-color: var(--line); }
.n { text-align: right; }
footer { border-top: 1px solid var(--line); margin-top: 1.5rem; padding-top: 1rem; }
"""


def whole_page(title: str, style: str, body: str) -> str:
    """Return a whole page.

    Args:
        title: Text of the title, not yet escaped.
        style: CSS of the page, `STYLE` and what it adds.
        body: HTML of the body.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
{body}</body>
</html>
"""


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Container[int]) -> str:
    """Return a table of escaped texts; the columns `numbers` (indices) are aligned right."""

    def cells(row: Sequence[str], kind: str) -> str:
        parts = (f"<{kind}{' class=n' if i in numbers else ''}>{escape(cell)}</{kind}>" for i, cell in enumerate(row))
        return f"<tr>{''.join(parts)}</tr>"

    body = "".join(cells(row, "td") for row in rows)
    return f"<table><thead>{cells(header, 'th')}</thead><tbody>{body}</tbody></table>"
