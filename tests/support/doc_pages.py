"""Pages of the documentation: their fenced blocks, commands, links and headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if page.parent.name != "images")
EVERY_PAGE = [README, *PAGES]

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SEPARATORS = frozenset({"&&", "|", ";", ">"})
_SYSTEMD = "ExecStart="


def name_of(page: Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[str]:
    """Fenced blocks in any of some languages."""
    return [text for _, language, text in _FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


def languages(page: Path) -> list[str]:
    """The language of each fenced block; empty where it has none."""
    return [language for _, language, _ in _FENCE.findall(page.read_text(encoding="utf-8"))]


def inline_code(page: Path) -> list[str]:
    """Code spans outside fenced blocks."""
    return _INLINE.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))


def links(page: Path) -> list[str]:
    """Relative targets of links and images, with their anchors."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return [target for target in _LINK.findall(text) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """Ids of the page's headings."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def commands(page: Path) -> list[list[str]]:
    """Simple commands of the page's shell blocks, as words."""
    found: list[list[str]] = []
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            found += _split(shlex.split(line, comments=True))
    return found


def fastsam_commands(page: Path) -> list[list[str]]:
    """Arguments of every `fastsam-trt` of the page: shell blocks, containers, units and code spans."""
    units = [
        shlex.split(line.removeprefix(_SYSTEMD))
        for block in blocks(page, "ini")
        for line in block.splitlines()
        if line.startswith(_SYSTEMD)
    ]
    spans = [shlex.split(span) for span in inline_code(page) if span.startswith("fastsam-trt ")]
    return [arguments for words in (*commands(page), *units, *spans) for arguments in _arguments(words)]


def _arguments(words: list[str]) -> Iterator[list[str]]:
    """What follows the command's name, where that is run: `docker build -t fastsam-trt .` does not."""
    for position, word in enumerate(words):
        if Path(word).name.partition(":")[0] == "fastsam-trt" and words[position + 1 :][:1] not in ([], ["."]):
            yield words[position + 1 :]
            return


def _split(words: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word in _SEPARATORS:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]
