"""Parse an HTML page, and check that every tag is closed."""

from __future__ import annotations

from html.parser import HTMLParser


class ParsedPage(HTMLParser):
    """The tags and texts of a page.

    Attributes:
        tags: Name and attributes of each tag, in order.
        texts: The texts between tags, unescaped.
    """

    def __init__(self, html: str, *, void: frozenset[str], self_closing: bool = False) -> None:
        """Parse a page.

        Args:
            html: The page.
            void: Tags that need no end.
            self_closing: Whether tags may end themselves, as those of SVG do.
        """
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._void, self._self_closing = void, self_closing
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self._void:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert self._self_closing
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
