"""Export a model by name, or from weights, to proven files in the model store."""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from fastsam_engine.errors import PackagesMissingError
from fastsam_engine.packages import version
from fastsam_engine.spec_reader import read_spec
from fastsam_engine.store.catalog import CATALOG
from fastsam_engine.store.home_folder import expand_user
from fastsam_engine.store.model_store import find_graph, models_folder, sibling_graph
from fastsam_export.errors import CalibrationError, ExportError, SplitError, UnknownExportError
from fastsam_export.families import Exported, ExportRequest, Family, all_families
from fastsam_export.fp16.convert import convert_to_fp16
from fastsam_export.installation import install
from fastsam_export.int8.calibration_images import CalibrationPictures
from fastsam_export.int8.quantise import FAMILIES as INT8_FAMILIES
from fastsam_export.int8.quantise import quantise
from fastsam_export.sparse.split import FAMILIES as CUT_FAMILIES
from fastsam_export.sparse.split import split_files

__all__ = ["ExportPrecision", "ExportRequest", "Exported", "cut_model", "export_model"]

ExportPrecision = Literal["fp32", "fp16", "int8"]


def export_model(
    name: str,
    *,
    weights: str | Path | None = None,
    imgsz: tuple[int, int] | None = None,
    out: Path | None = None,
    precision: ExportPrecision = "fp32",
    calibration: Path | None = None,
    defaults: Mapping[str, float] | None = None,
    class_agnostic: bool | None = None,
    dense: bool = False,
    step: Callable[[str], None] = lambda _: None,
) -> list[Exported]:
    """Export a model, prove its parity with PyTorch, and install its files.

    Args:
        name: A published name (`yolov8n-seg`, `fastsam-s`, `clip-vit-base-patch32`), or any name with `weights`.
        weights: Local file or folder, or a hub id; None: fetched by name.
        imgsz: (height, width) of the default input, px; None: the model's default.
        out: Folder for the files; None: `$FASTSAM_TRT_HOME/models/<name>`, with the suffix `-fp16` or `-int8` for these
            precisions, so that a model can be installed in several.
        precision: Precision of the graphs. fp16 and int8 graphs are made from the proven fp32 graph and compared with
            it; their inputs and outputs stay the same.
        calibration: Folder of images like those that the model will see. Required for int8, refused otherwise.
        defaults: Thresholds to record instead of the family's, such as `conf` or `iou`.
        class_agnostic: Whether the classes do not name what a segment shows, as with FastSAM's single class. Such a
            model gets FastSAM's thresholds, and its segments have no label. None: only for FastSAM itself (YOLO only).
        dense: Keep a YOLO segmenter in one graph that computes everything. By default it is cut into graphs that
            compute only what can be selected: `M.onnx`, `M.heads.onnx` and `M.masks.onnx`. A network that can't be cut
            stays in one graph, and the first file says why in `kept_whole`.
        step: Called with a short description when a step begins.

    Returns:
        The files, each with its spec. If an export fails, earlier files stay untouched.

    Raises:
        UnknownExportError: No family exports that.
        PackagesMissingError: The export extra is not installed.
        CalibrationError: Calibration images are missing, too few or unreadable.
        ExportError: The model can't be exported.
        WeightsNotFoundError: The weights do not exist, or can't be fetched.
        ParityError: An exported graph computes something else than PyTorch.
    """
    if precision not in get_args(ExportPrecision):
        raise UnknownExportError(f"expected precision {' or '.join(get_args(ExportPrecision))}, found {precision!r}")
    published = CATALOG.get(name.lower())
    family = _family(name, weights)
    pictures = _calibration_pictures(calibration, precision, family)
    missing = [package for package in family.packages if not version(package)]
    if missing:
        raise PackagesMissingError(missing, "cpu,export")
    if imgsz is None and published is not None and published.size_px:
        imgsz = (published.size_px, published.size_px)
    origin = str(weights) if weights is not None else published.origin if published else name
    request = ExportRequest(name.lower(), origin, imgsz, defaults or {}, class_agnostic)
    folder = out or models_folder() / (request.name if precision == "fp32" else f"{request.name}-{precision}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as staging:
        exported = family.export(request, Path(staging), step)
        if precision == "fp16":
            exported = convert_to_fp16(exported, step)
        elif pictures is not None:
            exported = quantise(exported, pictures, step)
        if not dense:
            exported = _cut(exported, Path(staging), step)
        step("installing the files")
        return install(exported, folder)


def cut_model(
    model: str | Path, *, out: Path | None = None, step: Callable[[str], None] = lambda _: None
) -> list[Exported]:
    """Cut an installed dense YOLO segmenter into graphs that compute only what can be selected. This needs no PyTorch.

    Args:
        model: Name, folder or ONNX file of a model that this project exported.
        out: Folder for the files; None: the model's own, whose dense graph is replaced.
        step: Called with a short description when a step begins.

    Returns:
        The files, as from `export_model`.

    Raises:
        ModelNotFoundError: There is no such model.
        SplitError: It can't be cut, or is cut already. Nothing is changed.
        ParityError: The parts compute something else. Nothing is changed.
    """
    first = find_graph(model)
    spec = read_spec(first)
    if spec.family not in CUT_FAMILIES:
        raise SplitError(f"{first}: expected a model of family {' or '.join(CUT_FAMILIES)}, found {spec.family}")
    folder = out or first.parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".cut-", dir=folder) as staging:
        files = []
        for path in (first, *(sibling_graph(first, part) for part in ("preprocess", "decode"))):
            if path.is_file():
                copy = Path(shutil.copyfile(path, Path(staging) / path.name))
                files.append(Exported(copy, read_spec(path)))
        cut = _cut(files, Path(staging), step)
        if cut[0].kept_whole:
            raise SplitError(f"{first}: {cut[0].kept_whole}")
        step("installing the files")
        return install(cut, folder)


def _cut(files: Sequence[Exported], staging: Path, step: Callable[[str], None]) -> list[Exported]:
    parts = staging / "parts"
    parts.mkdir()
    return split_files(files, parts, step)


def _calibration_pictures(
    folder: Path | None, precision: ExportPrecision, family: Family
) -> CalibrationPictures | None:
    """The calibration pictures of an int8 export; wrong requests are refused before any work."""
    if precision != "int8":
        if folder is not None:
            raise CalibrationError(folder, "--precision int8, the only one that calibrates", precision)
        return None
    if family.name not in INT8_FAMILIES:
        raise ExportError(f"int8: expected a model of family {', '.join(INT8_FAMILIES)}, found {family.name}")
    if folder is None:
        raise CalibrationError(None, "a folder of images like those that the model will see", "none")
    return CalibrationPictures.of(expand_user(folder))


def _family(name: str, weights: str | Path | None) -> Family:
    families = all_families()
    if name.lower() in CATALOG:
        return families[CATALOG[name.lower()].family]
    if not name or Path(name).name != name:
        raise UnknownExportError(f"expected a short name for the model, found {name!r}")
    if weights is None:
        near = difflib.get_close_matches(name.lower(), CATALOG, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(CATALOG)}"
        raise UnknownExportError(f"expected a published name or --weights, found {name!r}; {hint}")
    for family in families.values():
        if family.recognises(Path(weights)):
            return family
    raise UnknownExportError(
        f"expected weights of a model of {', '.join(families)}, found {str(weights)!r}, which is none of them"
    )
