"""Fonts: find a font that can draw a text: the built-in one, or an installed one.

The built-in font is Aileron, which comes with Pillow and has ASCII, so that pictures look the same on every machine.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_SUFFIXES = frozenset({".otc", ".otf", ".ttc", ".ttf"})
_PROBE_PX = 16
_NO_CHARACTER = "\U0010ffff"  # a noncharacter: fonts draw the glyph for missing characters
_UNDRAWN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})  # categories without glyphs: control characters and spaces
_STYLES = ("bold", "italic", "oblique", "mono", "serif", "cond", "light", "thin", "black", "math")
_KEPT_TEXTS = 1024


class Fonts:
    """The font files in a list of folders."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._files: list[Path] | None = None
        self._found: dict[str, Path | None] = {}  # by the characters of a text

    def can_draw(self, text: str) -> bool:
        """Whether there are fonts for all characters of a text, one or several."""
        return text.isascii() or self._choose(text) is not None or all(self._choose(char) for char in text)

    def open(self, text: str, size_px: int) -> FreeTypeFont | None:
        """A font of a size, px, that has all characters of a text; None if there is none."""
        if text.isascii():
            return _built_in(size_px)
        path = self._choose(text)
        return None if path is None else _open(path, size_px)

    def runs(self, text: str) -> list[str]:
        """Split a text into parts that one font can draw, as few as possible from its start; [text] if one has all."""
        if text.isascii() or self._choose(text) is not None:
            return [text]
        parts = list[str]()
        for char in text:
            if parts and (char == " " or self._choose(parts[-1] + char) is not None):
                parts[-1] += char
            else:
                parts.append(char)
        return parts

    def _choose(self, text: str) -> Path | None:
        """The file of a font for a text; None if there is none."""
        wanted = "".join(sorted({letter for letter in text if unicodedata.category(letter) not in _UNDRAWN}))
        if wanted not in self._found:
            if len(self._found) >= _KEPT_TEXTS:
                self._found.clear()
            if self._files is None:
                self._files = _list(self._folders)
            self._found[wanted] = next((path for path in self._files if _covers(path, wanted)), None)
        return self._found[wanted]


@cache
def installed_fonts() -> Fonts:
    """The fonts of this machine. The folders are read when the first font is needed."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - `Path.home` fails for a user who has none
    if sys.platform == "win32":
        return Fonts(
            Path(os.environ[name], *below)
            for name, below in (("WINDIR", ("Fonts",)), ("LOCALAPPDATA", ("Microsoft", "Windows", "Fonts")))
            if name in os.environ
        )
    if sys.platform == "darwin":
        return Fonts([Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"])
    data = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return Fonts([home / ".local/share/fonts", home / ".fonts", *(Path(folder, "fonts") for folder in data.split(":"))])


def _list(folders: Iterable[Path]) -> list[Path]:
    """All font files, regular styles first."""
    paths = [
        Path(folder, name)
        for top in folders
        for folder, _, names in os.walk(top)
        for name in names
        if Path(name).suffix.lower() in _SUFFIXES
    ]
    return sorted(paths, key=lambda path: (sum(style in path.stem.lower() for style in _STYLES), path.stem, str(path)))


def _covers(path: Path, characters: str) -> bool:
    try:
        font = _open(path, _PROBE_PX)
        missing = _glyph(font, _NO_CHARACTER)
        return all(_glyph(font, letter) != missing for letter in characters)
    except (OSError, ValueError):  # not a font, or a bitmap font without this size
        return False


def _glyph(font: FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)


@lru_cache(maxsize=64)
def _open(path: Path, size_px: int) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(path, size_px)


@lru_cache(maxsize=64)
def _built_in(size_px: int) -> FreeTypeFont:
    from PIL import ImageFont

    return cast("FreeTypeFont", ImageFont.load_default(size_px))
