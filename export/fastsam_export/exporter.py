"""Export a model by name, or from weights, to proven files in the model store."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, get_args

from fastsam_engine.errors import PackagesMissingError
from fastsam_engine.packages import version
from fastsam_engine.store.catalog import CATALOG
from fastsam_engine.store.home_folder import expand_user
from fastsam_engine.store.model_store import models_folder
from fastsam_export.errors import CalibrationError, ExportError, UnknownExportError
from fastsam_export.families import Exported, ExportRequest, Family, all_families
from fastsam_export.fp16.convert import convert_to_fp16
from fastsam_export.int8.calibration_images import CalibrationPictures
from fastsam_export.int8.quantise import FAMILIES as INT8_FAMILIES
from fastsam_export.int8.quantise import quantise

__all__ = ["ExportPrecision", "ExportRequest", "Exported", "export_model"]

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
        folder.mkdir(exist_ok=True)
        step("installing the files")
        installed = []
        for file in exported:
            target = folder / file.path.name
            file.path.replace(target)
            installed.append(Exported(target, file.spec))
    return installed


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
