"""Repository: the files of a hub's repository on disk, and what its settings state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastsam_engine.spec.json_reader import parse_json, shown
from fastsam_export.adopt.hub_files import SUFFIXES, TOWERS, WHOLE, AdoptedPrecision, wanted_files
from fastsam_export.errors import AdoptionError


@dataclass(frozen=True, slots=True)
class Repository:
    """The files of a repository in its own layout.

    Attributes:
        folder: Its folder.
        precision: Which of the siblings is used.
        graphs: Name without the precision's suffix, such as `model` or `vision_model`, to file.
        config: The model's settings, `config.json`; empty for a repository without them.
    """

    folder: Path
    precision: AdoptedPrecision
    graphs: Mapping[str, Path]
    config: Mapping[str, Any]

    @classmethod
    def of(cls, folder: Path, precision: AdoptedPrecision, file: str = "") -> Repository:
        """Find the graphs of a folder.

        Args:
            folder: The folder.
            precision: Which of the siblings to use.
            file: Path of the chosen ONNX file in the folder; one that the folder lacks is ignored.

        Raises:
            AdoptionError: The folder has no such graph, or settings that can't be read.
        """
        if not folder.is_dir():
            raise AdoptionError(folder, "expected a folder with the files of a repository, found none")
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        chosen = file if file in names and not _is_sibling(file) else ""
        paths = [Path(name) for name in wanted_files(names, precision, chosen) if name.endswith(".onnx")]
        graphs = {path.stem.removesuffix(SUFFIXES[precision]): folder / path for path in paths}
        return cls(folder, precision, graphs, read_settings(folder / "config.json") if "config.json" in names else {})

    @property
    def model_type(self) -> str:
        """The kind of model that the settings name; empty without settings."""
        return str(self.config.get("model_type", ""))

    @property
    def architectures(self) -> tuple[str, ...]:
        """Names of the classes that transformers uses for the model."""
        named = self.config.get("architectures")
        return tuple(map(str, named)) if isinstance(named, list) else ()

    def settings(self, name: str) -> Mapping[str, Any]:
        """Read a JSON object beside the graphs, such as `preprocessor_config.json`; see `read_settings`."""
        return read_settings(self.folder / name)

    def section(self, name: str) -> Mapping[str, Any]:
        """A part of `config.json`, such as `text_config`; empty if it has none."""
        found = self.config.get(name)
        return found if isinstance(found, dict) else {}

    def class_names(self) -> tuple[str, ...]:
        """Class names in the order of ids; ids without a name are called `class N`.

        Raises:
            AdoptionError: The settings name no classes.
        """
        path = self.folder / "config.json"
        labels = self.config.get("id2label")
        if not isinstance(labels, dict) or not labels:
            raise AdoptionError(path, "expected the names of its classes under 'id2label', found none")
        if not all(key.isdecimal() and len(key) < 6 for key in labels):
            raise AdoptionError(path, f"expected class ids as the keys of 'id2label', found {shown(labels)}")
        names = {int(key): str(name) for key, name in labels.items()}
        try:
            "".join(names.values()).encode()
        except UnicodeEncodeError as error:
            raise AdoptionError(path, f"expected class names in Unicode, found {shown(labels)}") from error
        return tuple(names.get(index, f"class {index}") for index in range(max(names) + 1))


def read_settings(path: Path) -> Mapping[str, Any]:
    """Read a JSON object.

    Raises:
        AdoptionError: The file is missing or no JSON object.
    """
    if not path.is_file():
        raise AdoptionError(path, "expected it beside the graphs, found no such file")
    try:
        document = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not Unicode, too
        raise AdoptionError(path, f"expected JSON, found a file that can't be read ({error})") from error
    if not isinstance(document, dict):
        raise AdoptionError(path, f"expected a JSON object, found {shown(document)}")
    return document


def _is_sibling(file: str) -> bool:
    """Whether a file is one of the layout of transformers.js, so that the layout decides which graphs belong to it."""
    return Path(file).stem.startswith((WHOLE, *TOWERS))
