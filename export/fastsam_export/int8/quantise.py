"""quantise: proven fp32 graphs to int8, with what int8 hurts left in floating point, by measurement."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fastsam_engine.backends import all_backends
from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.errors import ExportError
from fastsam_export.family import Exported
from fastsam_export.int8.agreement import Agreement, agreement, bounds
from fastsam_export.int8.calibration_images import CalibrationPictures, pictures_for
from fastsam_export.int8.quantised_graph import CONVOLUTIONS, PRODUCTS, Int8Graph
from fastsam_export.onnx_file import write_spec
from fastsam_export.proof import FP32_GRAPH, check_finite, prove, run_on_cpu

FAMILIES = ("yolo-seg", "yolo-end2end", "clip")
"""Families whose graphs were measured in int8."""

_ALONE = 12  # how many pictures a module's own damage is measured on
_ROOM = 0.5  # part of a bound's slack that the choice of modules keeps: it is made on the pictures that judge it
_LEFT_OUT = 4  # at most every fourth module
_PICTURES = "the calibration pictures"
_Inputs = list[dict[str, Array]]
_Answers = list[dict[str, Array]]


def quantise(made: Sequence[Exported], pictures: CalibrationPictures, step: Callable[[str], None]) -> list[Exported]:
    """Quantise the graphs of an export that take pictures, in place, and prove each against its fp32 self.

    Graphs keep their names, inputs and outputs. A text tower stays in fp32: it runs once a prompt.

    Args:
        made: The files of one model, in fp32.
        pictures: Like those that it will see.
        step: Told, in a few words, what begins.

    Raises:
        ExportError: A graph can't be quantised, or is none of those that were measured.
        CalibrationError: A picture can't be read.
        ParityError: A graph in int8 gives something else, or numbers that are not finite.
    """
    return [
        Exported(each.path, _quantised(each.path, each.spec, pictures, step))
        if each.spec is not None and each.spec.task in ("segment", "embed-image")
        else each
        for each in made
    ]


def _quantised(path: Path, spec: ModelSpec, pictures: CalibrationPictures, step: Callable[[str], None]) -> ModelSpec:
    if spec.family not in FAMILIES or not isinstance(spec.input, ImageInput):
        raise ExportError(f"int8: expected a model of {', '.join(FAMILIES)}, found {path.name} of {spec.family}")
    if spec.precision != "fp32":
        raise ExportError(f"int8: expected a graph in fp32, found {path.name} in {spec.precision}")
    name, image = spec.input.name, spec.input
    step(f"measuring {path.name} on {len(pictures.calibrating)} pictures")
    held_back = [{name: each} for each in pictures_for(pictures.held_back, image)]
    held_back.sort(key=lambda each: each[name].shape)  # a backend that compiles for a shape does so once
    expected = run_on_cpu(path, held_back)
    check_finite(path, expected, _PICTURES)
    graph = Int8Graph(
        path,
        CONVOLUTIONS if spec.task == "segment" else PRODUCTS,
        [{name: each} for each in pictures_for(pictures.calibrating, image)],
    )
    backends = [each for each, backend in all_backends().items() if "cpu" in backend.readiness().devices]
    spec = dataclasses.replace(spec, precision="int8", parity=None)
    choice = _Choice(path, spec, graph, held_back, expected, backends)
    left_out, found = choice.search(step)
    counted = f"{found[0].counted} {'detections' if spec.task == 'segment' else 'embeddings'}"
    what = (
        f"{counted} in {len(pictures.held_back)} pictures that were not calibrated on, on {' and '.join(backends)}, "
        f"against {FP32_GRAPH}, which was compared with PyTorch; left in floating point: "
        f"{', '.join(left_out) or 'no module'}"
    )
    return prove(path, spec, bounds(spec), ((what, each.figures) for each in found), FP32_GRAPH)


@dataclasses.dataclass(frozen=True, slots=True)
class _Choice:
    """Which modules to leave in floating point."""

    path: Path
    spec: ModelSpec
    graph: Int8Graph
    inputs: _Inputs
    expected: _Answers
    backends: Sequence[str]

    def write(self, left_out: Sequence[str], only: Sequence[str] = ()) -> None:
        self.graph.write(self.path, left_out, only)
        write_spec(self.path, self.spec)

    def search(self, step: Callable[[str], None]) -> tuple[list[str], list[Agreement]]:
        """Leave out module after module, the most damaging first, until the figures hold with some room.

        A module's damage is that of quantising it alone. At most a quarter of the modules are left out: the time that
        int8 saves goes with them.

        Returns:
            The modules left out, and the agreement on each backend: those of the best that was seen.
        """
        step("quantising")
        measured = self._measured([])
        if self._margin(measured) >= _ROOM:
            return [], measured
        order = self._by_damage(step)
        seen = [(self._margin(measured), list[str]())]
        for count in range(1, len(order) // _LEFT_OUT + 1):
            step(f"leaving {', '.join(order[:count])} in floating point")
            measured = self._measured(order[:count])
            if self._margin(measured) >= _ROOM:
                return order[:count], measured
            seen.append((self._margin(measured), order[:count]))
        best = max(seen, key=lambda each: each[0])[1]
        return best, self._measured(best, whole=True)

    def _by_damage(self, step: Callable[[str], None]) -> list[str]:
        modules = self.graph.modules
        few = np.linspace(0, len(self.inputs) - 1, min(len(self.inputs), _ALONE)).round().astype(int)
        inputs, expected = [self.inputs[i] for i in few], [self.expected[i] for i in few]
        damage = {}
        for done, module in enumerate(modules):
            step(f"quantising {module} alone ({done + 1} of {len(modules)})")
            self.write([], [module])
            found = run_on_cpu(self.path, inputs)
            damage[module] = agreement(self.spec, expected, found).damage
        return sorted(modules, key=lambda module: -damage[module])

    def _measured(self, left_out: Sequence[str], *, whole: bool = False) -> list[Agreement]:
        """The agreement on each backend; unless `whole`, none after one that has not enough room.

        Some backends compile for each shape, which takes longer than all else.
        """
        self.write(left_out)
        agreements: list[Agreement] = []
        for backend in self.backends:
            found = run_on_cpu(self.path, self.inputs, backend)
            check_finite(self.path, found, _PICTURES)
            agreements.append(agreement(self.spec, self.expected, found))
            if not whole and self._margin(agreements) < _ROOM:
                break
        return agreements

    def _margin(self, found: Sequence[Agreement]) -> float:
        """The least part of a bound's slack (1 less the bound) that is left; negative where one is missed."""
        limits = bounds(self.spec)
        return min((each.figures[name] - limits[name]) / (1 - limits[name]) for each in found for name in limits)
