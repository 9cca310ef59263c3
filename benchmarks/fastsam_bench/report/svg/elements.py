"""SVG elements of charts. Texts are escaped; x is a fraction of the width, y and sizes are px."""

from __future__ import annotations

from html import escape


def drawing(name: str, title: str, description: str, height: float, body: str) -> str:
    """An SVG drawing of full width.

    Args:
        name: Unique name on the page, used as id of title and description.
        title, description: Texts for screen readers.
        height: px.
        body: Its elements.
    """
    return (
        f'<svg role="img" aria-labelledby="{name}-t {name}-d" width="100%" height="{height:.0f}">'
        f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(description)}</desc>{body}</svg>'
    )


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start", dx_px: int = 0) -> str:
    """A line of text with its baseline at y, moved by `dx_px` from x."""
    shift = f' dx="{dx_px}"' if dx_px else ""
    return f'<text x="{_percent(x)}" y="{y:.1f}"{shift}{_class(kind)} text-anchor="{anchor}">{escape(content)}</text>'


def rect(x: float, y: float, width: float, height: float, kind: str = "", tip: str = "") -> str:
    """A bar; the width is a fraction, `tip` is shown under the pointer."""
    size = f'width="{_percent(max(width, 0))}" height="{height:.1f}"'
    return f'<rect x="{_percent(x)}" y="{y:.1f}" {size}{_class(kind)}>{_tip(tip)}</rect>'


def line(x0: float, y0: float, x1: float, y1: float, kind: str = "") -> str:
    """A straight line."""
    ends = f'x1="{_percent(x0)}" y1="{y0:.1f}" x2="{_percent(x1)}" y2="{y1:.1f}"'
    return f"<line {ends}{_class(kind)}/>"


def dot(x: float, y: float, radius: float, kind: str = "", tip: str = "") -> str:
    """A disc."""
    return f'<circle cx="{_percent(x)}" cy="{y:.1f}" r="{radius:.1f}"{_class(kind)}>{_tip(tip)}</circle>'


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}%"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _tip(tip: str) -> str:
    return f"<title>{escape(tip)}</title>" if tip else ""
