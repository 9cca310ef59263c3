"""GroundTruth: the ids that a file of COCO annotations gives to images and categories."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastsam_trt.errors import GroundTruthError


class GroundTruth:
    """Images by file name and categories by name, of a file in COCO's format.

    Attributes:
        path: The file.
        categories: Id to name.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            GroundTruthError: It can't be read, or has no images and categories with whole numbers as ids.
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
        """The ids of images.

        A file's path ends in the `file_name` of its image, or, where there is no such image, its name is the last part
        of one.

        Args:
            files: The images.

        Returns:
            Each file to its id.

        Raises:
            GroundTruthError: An image is not there, or could be several, or two of them are the same.
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
                raise GroundTruthError(self.path, f"one image for {file}", names)
            (image_id,) = candidates
            if image_id in owners:
                raise GroundTruthError(
                    self.path, "an image for each file", f"id {image_id} for {owners[image_id]} and {file}"
                )
            owners[image_id] = file
            found[file] = image_id
        if absent:
            others = f", nor of {len(absent) - 1} more" if len(absent) > 1 else ""
            raise GroundTruthError(self.path, "each image by its file_name", f"none of {absent[0]}{others}")
        return found

    def category_id(self, name: str) -> int | None:
        """The id of the category of that name, exactly or else in any case; None where there is none."""
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
        raise GroundTruthError(path, "a file of COCO annotations", f"none ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise GroundTruthError(path, "COCO annotations in JSON", f"a file that is no JSON ({error})") from error
    if not isinstance(data, dict):
        raise GroundTruthError(path, "an object with images and categories", f"a {type(data).__name__}")
    return data


def _by_id(path: Path, data: dict[str, Any], key: str, name: str) -> dict[int, str]:
    """The entries of a list of the file: id to name."""
    entries = data.get(key)
    if not isinstance(entries, list) or not entries:
        raise GroundTruthError(path, f"a list {key!r}", "none")
    found: dict[int, str] = {}
    for entry in entries:
        fields = entry if isinstance(entry, dict) else {}
        number, text = fields.get("id"), fields.get(name)
        if type(number) is not int or not isinstance(text, str) or not text:
            raise GroundTruthError(path, f"an id, a whole number, and a {name} for each of its {key}", repr(entry)[:80])
        if number in found:
            raise GroundTruthError(path, f"an id of its own for each of its {key}", f"{number} twice")
        found[number] = _normal(text)
    return found


def _only(named: Iterable[tuple[int, str]]) -> dict[str, int]:
    """Names to ids, without the names that several have."""
    found: dict[str, list[int]] = {}
    for number, name in named:
        found.setdefault(name, []).append(number)
    return {name: numbers[0] for name, numbers in found.items() if len(numbers) == 1}


def _parts(name: str) -> list[str]:
    """The parts of a path of any system."""
    return [part for part in _normal(name).replace("\\", "/").split("/") if part not in ("", ".")] or [""]


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)
