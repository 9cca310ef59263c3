"""Read class names from a text file, from JSON, or from the subset of YAML that data set descriptions use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fastsam_trt.errors import ClassNamesFileError

_ENTRY = re.compile(r"""(?:(?P<id>\d+)\s*:|-)\s+(?P<name>\S.*)""")


def read_class_names(path: Path | str) -> tuple[str, ...]:
    """Read class names in the order of their ids.

    Args:
        path: `.json`: a list, an object that maps ids to names, or an object with either under `names`. `.yaml`,
            `.yml`: the same, as in ultralytics' data.yaml. Any other suffix: one name per line.

    Raises:
        ClassNamesFileError: The file can't be read, or has no class names.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        suffix = path.suffix.lower()
        if suffix == ".json":
            return _listed(json.loads(text))
        if suffix in (".yaml", ".yml"):
            return _listed(_yaml_names(text))
        return _listed([line.strip() for line in text.rstrip().splitlines()])
    except OSError as error:
        raise ClassNamesFileError(path, f"it can't be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ClassNamesFileError(path, str(error)) from error


def _listed(found: Any) -> tuple[str, ...]:
    """Return names as a tuple, from a list or from a mapping of ids to names.

    Raises:
        ValueError: It is neither, or ids are missing.
    """
    if isinstance(found, dict) and "names" in found:
        found = found["names"]
    if isinstance(found, dict):
        ids = {int(key): name for key, name in found.items()}
        if sorted(ids) != list(range(len(found))):
            raise ValueError(f"expected the ids 0 to {len(found) - 1}, found {', '.join(map(str, sorted(ids)))}")
        found = [ids[class_id] for class_id in range(len(ids))]
    if not isinstance(found, list) or not found:
        raise ValueError("expected a list of names, or ids with names, found neither")
    if not all(isinstance(name, str | int | float) for name in found):
        raise ValueError("expected every name to be text, found one that is not")
    return tuple(str(name) for name in found)


def _yaml_names(text: str) -> list[str] | dict[str, str]:
    """Return the entries under `names:`, or of the whole file if it has no such line.

    Raises:
        ValueError: The entries are neither a flat list nor ids with names.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "---"))]
    start = next((i for i, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
    if start is not None:
        inline = _bare(lines[start].partition(":")[2].strip())
        rest = lines[start + 1 :]
        if inline[:1] in ("[", "{"):
            return _flow(" ".join([inline, *(_bare(line.strip()) for line in rest)]))
        outside = (i for i, line in enumerate(rest) if not line[0].isspace() and not line.startswith("-"))
        lines = rest[: next(outside, len(rest))]
    entries = [_ENTRY.fullmatch(line.strip()) for line in lines]
    if not all(entries):
        wrong = next(line for line, entry in zip(lines, entries, strict=True) if not entry)
        raise ValueError(f"expected '- name' or '0: name', found {wrong.strip()!r}")
    found = [(entry["id"], _scalar(entry["name"])) for entry in entries if entry]
    if all(number is None for number, _ in found):
        return [name for _, name in found]
    ids = [number or "" for number, _ in found]
    if len(set(ids)) < len(ids):
        raise ValueError(f"expected the ids 0 to {len(ids) - 1}, without repeats, found {', '.join(ids)}")
    return dict(zip(ids, (name for _, name in found), strict=True))


def _flow(text: str) -> list[str] | dict[str, str]:
    """Parse `[a, 'b c']` or `{0: a, 1: b}`."""
    inside = re.match(r"""[\[{]((?:"[^"]*"|'(?:[^']|'')*'|[^\]}"'])*)[\]}]""", text)
    if inside is None:
        raise ValueError(f"expected [..] or {{..}} after names:, found {text[:40]!r}")
    parts = [part.strip() for part in re.findall(r"""(?:"[^"]*"|'(?:[^']|'')*'|[^,"'])+""", inside[1])]
    if text.startswith("["):
        return [_scalar(part) for part in parts if part]
    pairs = [part.partition(":") for part in parts if part]
    return {_scalar(key.strip()): _scalar(value.strip()) for key, _, value in pairs}


def _scalar(text: str) -> str:
    """Return a YAML scalar as text, without quotes and without a comment after it."""
    quoted = re.match(r"""'((?:[^']|'')*)'|"([^"]*)\"""", text)
    if quoted:
        return quoted[2] if quoted[1] is None else quoted[1].replace("''", "'")
    return _bare(text)


def _bare(text: str) -> str:
    """Remove the comment after a text."""
    return re.sub(r"(^|\s)#.*", "", text).strip()
