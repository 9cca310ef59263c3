"""Quantise proven fp32 graphs to int8; modules that int8 damages most stay in floating point."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.errors import ExportError
from fastsam_export.family import Exported
from fastsam_export.int8.agreement import Agreement, bounds, compare
from fastsam_export.int8.calibration_images import CalibrationPictures, pictures_for
from fastsam_export.int8.quantised_graph import CONVOLUTIONS, PRODUCTS, Int8Graph
from fastsam_export.onnx_file import write_spec
from fastsam_export.parity import cpu_backends
from fastsam_export.proof import check_finite, prove_against_fp32, run_on_cpu

FAMILIES = ("yolo-seg", "yolo-end2end", "clip")
"""Families whose accuracy in int8 was measured."""

_MODULE_PICTURES = 12  # number of pictures on which the damage of one module is measured
_MARGIN = 0.5  # the share of a bound's slack to keep: modules are chosen on the same pictures that prove the graph
_MAX_EXCLUDED = 4  # at most one module in four
_PICTURES = "the calibration pictures"
_Inputs = list[dict[str, Array]]
_Outputs = list[dict[str, Array]]


def quantise(files: Sequence[Exported], pictures: CalibrationPictures, step: Callable[[str], None]) -> list[Exported]:
    """Quantise the graphs that take pictures, in place, and prove each against its fp32 graph.

    Graphs keep their names, inputs and outputs. A text tower stays in fp32, since it runs only once per prompt.

    Args:
        files: The files of one model, in fp32.
        pictures: Pictures like those that the model will see.
        step: Called with a short description when a step begins.

    Raises:
        ExportError: A graph can't be quantised, or belongs to a family whose accuracy in int8 was not measured.
        CalibrationError: A picture can't be read.
        ParityError: An int8 graph computes something else, or numbers that are not finite.
    """
    return [
        Exported(file.path, _quantise_graph(file.path, file.spec, pictures, step))
        if file.spec is not None and file.spec.task in ("segment", "embed-image")
        else file
        for file in files
    ]


def _quantise_graph(
    path: Path, spec: ModelSpec, pictures: CalibrationPictures, step: Callable[[str], None]
) -> ModelSpec:
    if spec.family not in FAMILIES or not isinstance(spec.input, ImageInput):
        raise ExportError(f"int8: expected a model of family {', '.join(FAMILIES)}, found {path.name} of {spec.family}")
    if spec.precision != "fp32":
        raise ExportError(f"int8: expected a graph in fp32, found {path.name} in {spec.precision}")
    name, image = spec.input.name, spec.input
    step(f"measuring {path.name} on {len(pictures.calibrating)} pictures")
    held_back = [{name: each} for each in pictures_for(pictures.held_back, image)]
    held_back.sort(key=lambda each: each[name].shape)  # a backend that compiles per shape then does so once per shape
    expected = run_on_cpu(path, held_back)
    check_finite(path, expected, _PICTURES)
    graph = Int8Graph(
        path,
        CONVOLUTIONS if spec.task == "segment" else PRODUCTS,
        [{name: each} for each in pictures_for(pictures.calibrating, image)],
    )
    backends = cpu_backends()
    spec = dataclasses.replace(spec, precision="int8", parity=None)
    choice = _Choice(path, spec, graph, held_back, expected, backends)
    excluded, agreements = choice.search(step)
    counted = f"{agreements[0].counted} {'detections' if spec.task == 'segment' else 'embeddings'}"
    inputs = f"{counted} in {len(pictures.held_back)} pictures that were not calibrated on, on {' and '.join(backends)}"
    note = f"; left in floating point: {', '.join(excluded) or 'no module'}"
    return prove_against_fp32(path, spec, bounds(spec), inputs, [each.metrics for each in agreements], note)


@dataclasses.dataclass(frozen=True, slots=True)
class _Choice:
    """The choice of the modules that stay in floating point."""

    path: Path
    spec: ModelSpec
    graph: Int8Graph
    inputs: _Inputs
    expected: _Outputs
    backends: Sequence[str]

    def write(self, excluded: Sequence[str], only: Sequence[str] = ()) -> None:
        self.graph.write(self.path, excluded, only)
        write_spec(self.path, self.spec)

    def search(self, step: Callable[[str], None]) -> tuple[list[str], list[Agreement]]:
        """Exclude one module after the other, the most damaging first, until the metrics have enough margin.

        The damage of a module is measured with only this module in int8. At most a quarter of the modules are excluded,
        since each costs part of the time that int8 saves.

        Returns:
            The excluded modules, and the agreement on each backend, of the best choice.
        """
        step("quantising")
        measured = self._measure([])
        if self._margin(measured) >= _MARGIN:
            return [], measured
        order = self._by_damage(step)
        tried = [(self._margin(measured), list[str]())]
        for count in range(1, len(order) // _MAX_EXCLUDED + 1):
            step(f"leaving {', '.join(order[:count])} in floating point")
            measured = self._measure(order[:count])
            if self._margin(measured) >= _MARGIN:
                return order[:count], measured
            tried.append((self._margin(measured), order[:count]))
        best = max(tried, key=lambda each: each[0])[1]
        return best, self._measure(best, all_backends=True)

    def _by_damage(self, step: Callable[[str], None]) -> list[str]:
        modules = self.graph.modules
        few = np.linspace(0, len(self.inputs) - 1, min(len(self.inputs), _MODULE_PICTURES)).round().astype(int)
        inputs, expected = [self.inputs[i] for i in few], [self.expected[i] for i in few]
        damage = {}
        for done, module in enumerate(modules):
            step(f"quantising {module} alone ({done + 1} of {len(modules)})")
            self.write([], [module])
            damage[module] = compare(self.spec, expected, run_on_cpu(self.path, inputs)).damage
        return sorted(modules, key=lambda module: -damage[module])

    def _measure(self, excluded: Sequence[str], *, all_backends: bool = False) -> list[Agreement]:
        """The agreement on each backend, by default only up to the first one without enough margin.

        Some backends compile for each shape, which takes longer than everything else.
        """
        self.write(excluded)
        agreements: list[Agreement] = []
        for backend in self.backends:
            outputs = run_on_cpu(self.path, self.inputs, backend)
            check_finite(self.path, outputs, _PICTURES)
            agreements.append(compare(self.spec, self.expected, outputs))
            if not all_backends and self._margin(agreements) < _MARGIN:
                break
        return agreements

    def _margin(self, agreements: Sequence[Agreement]) -> float:
        """The smallest share of a bound's slack (1 minus the bound) that is left; negative if a bound is missed."""
        limits = bounds(self.spec)
        return min((each.metrics[name] - limits[name]) / (1 - limits[name]) for each in agreements for name in limits)
