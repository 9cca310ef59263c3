"""Find the files of a model by file, folder or short name, in this order.

A model's files are in `$FASTSAM_TRT_HOME/models/<name>/` (default: the user's cache folder).
"""

from __future__ import annotations

import difflib
from pathlib import Path

from fastsam_engine.errors import ModelFileError, ModelNotFoundError
from fastsam_engine.store.catalog import CATALOG
from fastsam_engine.store.home_folder import expand_user, home
from fastsam_engine.store.other_formats import refuse_other_formats
from fastsam_engine.store.ready_models import READY_MODELS, how_to_get

_SUFFIXES = (".onnx", ".plan")


def models_folder() -> Path:
    """The folder that holds one folder per exported model."""
    return home() / "models"


def installed() -> list[str]:
    """Short names of the models in the store, sorted."""
    folder = models_folder()
    return sorted(each.name for each in folder.iterdir() if any(each.glob("*.onnx"))) if folder.is_dir() else []


def find_graph(name: str | Path, part: str = "") -> Path:
    """Find one graph of a model: an ONNX file or, if the folder has none of that part, a plan.

    Args:
        name: A file, a model folder, or a short name (case does not matter).
        part: Which graph of a model with several: `image` means `M.image.onnx` or `M.image.plan`; empty means `M.onnx`.

    Raises:
        ModelNotFoundError: There is no model of that name; the message suggests similar names.
        ModelFileError: The folder does not have that graph.
    """
    path = expand_user(name)
    if path.is_file():
        return path
    folder = _folder(name)
    refuse_other_formats(folder)
    for suffix in _SUFFIXES:
        ending = f".{part}{suffix}" if part else suffix
        graphs = [each for each in sorted(folder.glob(f"*{ending}")) if part or each.stem.count(".") == 0]
        exact = folder / f"{folder.name}{ending}"
        if exact in graphs:
            return exact
        if len(graphs) == 1:
            return graphs[0]
    found = ", ".join(each.name for suffix in _SUFFIXES for each in sorted(folder.glob(f"*{suffix}"))) or "no ONNX file"
    wanted = f"{folder.name}.{part}.onnx" if part else f"{folder.name}.onnx"
    raise ModelFileError(folder, f"expected {wanted}, found {found}")


def sibling_graph(graph: Path, part: str, graph_part: str = "") -> Path:
    """The path of another graph of a model: `M.masks.onnx` beside `M.onnx`, `M.text.plan` beside `M.image.plan`.

    Args:
        graph: The known graph.
        part: The other graph's part.
        graph_part: The part that `graph` is; empty: its name has no part.
    """
    name = graph.stem.removesuffix(f".{graph_part}") if graph_part else graph.stem
    return graph.with_name(f"{name}.{part}{graph.suffix}")


def find_graphs(name: str | Path) -> list[Path]:
    """Find all ONNX files of a model; see `find_graph`.

    Raises:
        ModelNotFoundError: There is no model of that name.
        ModelFileError: The folder holds no ONNX file.
    """
    path = expand_user(name)
    graphs = [path] if path.is_file() else sorted(_folder(name).glob("*.onnx"))
    return graphs or [find_graph(name)]


def _folder(name: str | Path) -> Path:
    path = expand_user(name)
    folder = path if path.is_dir() else models_folder() / str(name).lower()
    if not folder.is_dir() or str(name).strip() in ("", ".", ".."):
        raise _not_found(str(name))
    return folder


def _not_found(name: str) -> ModelNotFoundError:
    lower = name.lower()
    near = difflib.get_close_matches(lower, {*CATALOG, *READY_MODELS, *installed()}, n=3)
    return ModelNotFoundError(name, models_folder(), near, how_to_get(name))
