"""export_model: from a name to proven files in their place."""

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
from fastsam_export.fp16.convert import halve
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
    """Export a model, prove its parity with PyTorch, and put its files into place.

    Args:
        name: A published name (`yolov8n-seg`, `fastsam-s`, `clip-vit-base-patch32`), or any name with `weights`.
        weights: Local file or folder, or a hub id; None: fetched by the name.
        imgsz: (height, width) of the default input, px; None: the model's own.
        out: Folder for the files; None: `$FASTSAM_TRT_HOME/models/<name>`, or `<name>-fp16` or `-int8`, so that a
            model can be installed in all.
        precision: Of the graphs. fp16 and int8 are made from the fp32 graph once that is proven, and compared with it;
            inputs and outputs stay as they are.
        calibration: Folder of images like those that the model will see, for int8 and only for it.
        defaults: Thresholds to record in place of the family's, such as `conf` or `iou`.
        class_agnostic: Whether the model's classes say nothing of what a segment shows, as FastSAM's one does not; such
            a model gets FastSAM's thresholds, and its segments no label. None: so for FastSAM itself (YOLO only).
        step: Told, in a few words, what begins.

    Returns:
        The files, each with its spec. A failed export leaves what was there before.

    Raises:
        UnknownExportError: No family exports that.
        PackagesMissingError: The export extra is not installed.
        CalibrationError: Calibration images are missing, too few or unreadable.
        ExportError: The model can't be exported.
        WeightsNotFoundError, ParityError: See there.
    """
    if precision not in get_args(ExportPrecision):
        raise UnknownExportError(f"expected precision {' or '.join(get_args(ExportPrecision))}, found {precision!r}")
    published = CATALOG.get(name.lower())
    family = _family(name, weights)
    pictures = _calibration(calibration, precision, family)
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
        made = family.export(request, Path(staging), step)
        if precision == "fp16":
            made = halve(made, step)
        elif pictures is not None:
            made = quantise(made, pictures, step)
        folder.mkdir(exist_ok=True)
        step("putting files into place")
        placed = []
        for each in made:
            target = folder / each.path.name
            each.path.replace(target)
            placed.append(Exported(target, each.spec))
    return placed


def _calibration(folder: Path | None, precision: ExportPrecision, family: Family) -> CalibrationPictures | None:
    """The calibration pictures of an export in int8; what can't be done is refused before anything is made."""
    if precision != "int8":
        if folder is not None:
            raise CalibrationError(folder, "--precision int8, which alone calibrates", precision)
        return None
    if family.name not in INT8_FAMILIES:
        raise ExportError(f"int8: expected a model of {', '.join(INT8_FAMILIES)}, found one of {family.name}")
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
        f"expected weights of a family among {', '.join(families)}, found {str(weights)!r}, which is of none"
    )
