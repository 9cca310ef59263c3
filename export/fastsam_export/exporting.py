"""export_model: from a name to proven files in their place."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, get_args

from fastsam_engine.catalog import CATALOG
from fastsam_engine.errors import PackagesMissingError
from fastsam_engine.model_store import models_folder
from fastsam_engine.packages import version
from fastsam_export.errors import UnknownExportError
from fastsam_export.families import Exported, ExportRequest, Family, all_families
from fastsam_export.half_precision import halve

__all__ = ["ExportPrecision", "ExportRequest", "Exported", "export_model"]

ExportPrecision = Literal["fp32", "fp16"]


def export_model(
    name: str,
    *,
    weights: str | Path | None = None,
    imgsz: tuple[int, int] | None = None,
    out: Path | None = None,
    precision: ExportPrecision = "fp32",
    defaults: Mapping[str, float] | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> list[Exported]:
    """Export a model, prove its parity with PyTorch, and put its files into place.

    Args:
        name: A published name (`yolov8n-seg`, `fastsam-s`, `clip-vit-base-patch32`), or any name with `weights`.
        weights: Local file or folder, or a hub id; None: fetched by the name.
        imgsz: (height, width) of the default input, px; None: the model's own.
        out: Folder for the files; None: `$FASTSAM_TRT_HOME/models/<name>`, or `<name>-fp16` for fp16, so that a model
            can be installed in both.
        precision: Of the graphs. fp16 is converted from the fp32 graph once that is proven, and compared with it;
            inputs and outputs stay as they are.
        defaults: Thresholds to record in place of the family's, such as `conf` or `iou`.
        step: Told, in a few words, what begins.

    Returns:
        The files, each with its spec. A failed export leaves what was there before.

    Raises:
        UnknownExportError: No family exports that.
        PackagesMissingError: The export extra is not installed.
        ExportError: The model can't be exported.
        WeightsNotFoundError, ParityError: See there.
    """
    if precision not in get_args(ExportPrecision):
        raise UnknownExportError(f"expected precision {' or '.join(get_args(ExportPrecision))}, found {precision!r}")
    published = CATALOG.get(name.lower())
    family = _family(name, weights)
    missing = [package for package in family.packages if not version(package)]
    if missing:
        raise PackagesMissingError(missing, "cpu,export")
    if imgsz is None and published is not None and published.size_px:
        imgsz = (published.size_px, published.size_px)
    origin = str(weights) if weights is not None else published.origin if published else name
    request = ExportRequest(name.lower(), origin, imgsz, defaults or {})
    folder = out or models_folder() / (request.name if precision == "fp32" else f"{request.name}-{precision}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as staging:
        made = family.export(request, Path(staging), step)
        if precision == "fp16":
            made = halve(made, step)
        folder.mkdir(exist_ok=True)
        step("putting files into place")
        placed = []
        for each in made:
            target = folder / each.path.name
            each.path.replace(target)
            placed.append(Exported(target, each.spec))
    return placed


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
