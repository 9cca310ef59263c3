"""GroundTruth: image and category ids from a COCO annotation file."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastsam_trt.errors import GroundTruthError


class GroundTruth:
    """The images of a COCO annotation file by file name, and its categories by name.

    Attributes:
        path: The annotation file.
        categories: Category id to name.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            GroundTruthError: It can't be read, or lacks images or categories with integer ids.
        """
        self.path = path
        data = _read(path)
        self._names = _by_id(path, data, "images", "file_name")
        self.categories: Mapping[int, str] = MappingProxyType(_by_id(path, data, "categories", "name"))
        self._by_path: dict[str, list[int]] = {}
        self._by_base: dict[str, list[int]] = {}
        for image_id, name in self._names.items():
            parts = _parts(name)
            self._by_path.setdefault("/".join(parts), []).append(image_id)
            self._by_base.setdefault(parts[-1], []).append(image_id)
        self._exact = _only(self.categories.items())
        self._folded = _only((category_id, name.casefold()) for category_id, name in self.categories.items())

    def image_ids(self, files: Iterable[Path]) -> dict[Path, int]:
        """The ids of image files.

        An image matches if the path of the file ends with its `file_name`. If no image does, images whose `file_name`
        has the same last part match.

        Args:
            files: The image files.

        Returns:
            File to image id.

        Raises:
            GroundTruthError: A file matches no image or several, or two files match the same image.
        """
        found: dict[Path, int] = {}
        owners: dict[int, Path] = {}
        absent: list[Path] = []
        for file in files:
            candidates = self._candidates(file)
            if not candidates:
                absent.append(file)
                continue
            if len(candidates) > 1:
                names = " and ".join(self._names[candidate] for candidate in candidates[:2])
                raise GroundTruthError(self.path, f"one image that matches {file}", names)
            (image_id,) = candidates
            if image_id in owners:
                raise GroundTruthError(
                    self.path, "a different image for each file", f"id {image_id} for {owners[image_id]} and {file}"
                )
            owners[image_id] = file
            found[file] = image_id
        if absent:
            others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise GroundTruthError(self.path, "an image for each file", f"none for {absent[0]}{others}")
        return found

    def category_id(self, name: str) -> int | None:
        """The id of a category by name: an exact match, else one that ignores case; None if there is neither."""
        name = _normal(name)
        return self._exact.get(name, self._folded.get(name.casefold()))

    def _candidates(self, file: Path) -> list[int]:
        parts = _parts(str(file))
        for first in range(len(parts)):
            found = self._by_path.get("/".join(parts[first:]))
            if found:
                return found
        return self._by_base.get(parts[-1], [])


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise GroundTruthError(path, "a COCO annotation file", f"none ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise GroundTruthError(path, "COCO annotations in JSON", f"invalid JSON ({error})") from error
    if not isinstance(data, dict):
        raise GroundTruthError(path, "an object with images and categories", f"a {type(data).__name__}")
    return data


def _by_id(path: Path, data: dict[str, Any], key: str, name: str) -> dict[int, str]:
    """A list of the file as a mapping: id to name."""
    entries = data.get(key)
    if not isinstance(entries, list) or not entries:
        raise GroundTruthError(path, f"a list {key!r}", "none")
    found: dict[int, str] = {}
    for entry in entries:
        fields = entry if isinstance(entry, dict) else {}
        number, text = fields.get("id"), fields.get(name)
        if type(number) is not int or not isinstance(text, str) or not text:
            raise GroundTruthError(path, f"an integer id and a {name} for each of its {key}", repr(entry)[:80])
        if number in found:
            raise GroundTruthError(path, f"unique ids for its {key}", f"{number} twice")
        found[number] = _normal(text)
    return found


def _only(named: Iterable[tuple[int, str]]) -> dict[str, int]:
    """Name to id, without names that occur more than once."""
    found: dict[str, list[int]] = {}
    for number, name in named:
        found.setdefault(name, []).append(number)
    return {name: numbers[0] for name, numbers in found.items() if len(numbers) == 1}


def _parts(name: str) -> list[str]:
    """The parts of a path, whatever its system's separator."""
    return [part for part in _normal(name).replace("\\", "/").split("/") if part not in ("", ".")] or [""]


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)
