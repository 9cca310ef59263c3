"""Compare the parts of a segmenter with its dense graph: logits, boxes, coefficients and prototypes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Array, Session
from fastsam_engine.spec.model_spec import Output
from fastsam_export.onnx_file import write_spec
from fastsam_export.parity import max_abs, max_rel
from fastsam_export.sparse.branches import Level
from fastsam_export.sparse.part_inputs import around, tiles, whole
from fastsam_export.sparse.parts import Parts

_ROUNDED = {
    "max_abs_parts_box_px": 0.5,
    "max_rel_parts_logit": 5e-3,
    "max_rel_parts_coefficient": 5e-3,
    "max_rel_parts_prototype": 5e-3,
}
BOUNDS: Mapping[str, Mapping[str, float]] = {
    "fp32": {
        "max_abs_parts_box_px": 1e-3,
        "max_rel_parts_logit": 1e-4,
        "max_rel_parts_coefficient": 1e-4,
        "max_rel_parts_prototype": 1e-4,
    },
    "fp16": _ROUNDED,
    "int8": _ROUNDED,
}
"""By precision. In fp16 and int8 a backend may round between nodes that it fuses in one graph and not in another."""

_RANDOM_ANCHORS = 24  # per level, besides those in corners and on edges
_KINDS = ("boxes", "coefficients", "classes")


def write_reference(parts: Parts, path: Path) -> None:
    """Write the dense graph with the raw outputs of its branches as further outputs."""
    import onnx

    dense, model = parts.dense, onnx.ModelProto()
    model.CopyFrom(dense.model)
    outputs = list(parts.spec.outputs)
    for level in parts.branches.levels:
        for kind in _KINDS:
            tensor = _tensor(level, kind)
            name = f"{kind}_{level.stride}"
            model.graph.node.append(onnx.helper.make_node("Cast", [tensor], [name], name, to=onnx.TensorProto.FLOAT))
            channels = dense.shape(tensor)[1]
            outputs.append(Output(name, "raw", f"N {channels} H/{level.stride} W/{level.stride}"))
            shape = ["N", channels, f"H/{level.stride}", f"W/{level.stride}"]
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    onnx.save(model, str(path))
    write_spec(path, dataclasses.replace(parts.spec, outputs=tuple(outputs)))


@dataclasses.dataclass(frozen=True, slots=True)
class _Chosen:
    """Anchors per level, (k, 3) each: image, row, column. `whole`: all anchors of one image, as one patch."""

    anchors: Sequence[NDArray[np.int64]]
    whole: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """The dense graph and its parts, on one backend.

    Attributes:
        parts: The parts.
        dense: The dense graph with raw outputs, from `write_reference`.
        trunk, heads, masks: The graphs of the parts.
    """

    parts: Parts
    dense: Session
    trunk: Session
    heads: Session
    masks: Session

    def metrics(self, batch: Array) -> Iterator[dict[str, float]]:
        """Compare on a batch of images, as the model takes them. Yields one or more of the metrics at a time."""
        name = self.parts.spec.input_names[0]
        expected, found = self.dense.run({name: batch}), self.trunk.run({name: batch})
        yield {"max_rel_parts_logit": self._logits(expected, found)}
        maps = [found[f"features_{level.stride}"].shape[:3] for level in self._levels]
        for chosen in (
            _Chosen([_on_edges_and_inside(*each) for each in maps], whole=False),
            _Chosen([_all_of_last(*each) for each in maps], whole=True),
        ):
            inputs = self._patches(found, chosen, self.parts.reach_cells("boxes"))
            yield {"max_abs_parts_box_px": self._boxes(expected, self.heads.run(inputs)["boxes"], chosen)}
            inputs = self._patches(found, chosen, self.parts.reach_cells("coefficients"))
            coefficients = self.masks.run(inputs | self._tiles(found, np.zeros((1, 3), np.int64), (1, 1)))[
                "coefficients"
            ]
            wanted = np.concatenate(self._raw(expected, "coefficients", chosen))
            yield {"max_rel_parts_coefficient": max_rel(wanted, coefficients)}
        least = self._patches(
            found,
            _Chosen([np.zeros((1, 3), np.int64)] * len(maps), whole=False),
            self.parts.reach_cells("coefficients"),
        )
        prototypes = expected[self.parts.spec.outputs[1].name]
        images, height, width, _ = found[self.parts.mask_features].shape
        for firsts, size in (*_single_tiles(images, height, width), _several_tiles(images, height, width)):
            made = self.masks.run({**least, **self._tiles(found, firsts, size)})["prototypes"]
            yield {"max_rel_parts_prototype": self._prototypes(prototypes, made, firsts, size)}

    @property
    def _levels(self) -> Sequence[Level]:
        return self.parts.branches.levels

    def _logits(self, expected: Mapping[str, Array], found: Mapping[str, Array]) -> float:
        raw = [expected[f"classes_{level.stride}"] for level in self._levels]
        flat = np.concatenate([each.reshape(*each.shape[:2], -1) for each in raw], axis=2)
        apart = max_rel(flat.max(axis=1), found["best_logits"])
        if "class_ids" in found:  # of two classes that are nearly equal, either may be the best
            chosen = np.take_along_axis(flat, found["class_ids"][:, None].astype(np.int64), axis=1)[:, 0]
            apart = max(apart, max_rel(chosen, found["best_logits"]))
        for level, each in zip(self._levels, raw, strict=True):
            if (name := f"class_logits_{level.stride}") in found:
                apart = max(apart, max_rel(each, found[name].transpose(0, 3, 1, 2)))
        return apart

    def _boxes(self, expected: Mapping[str, Array], found: Array, chosen: _Chosen) -> float:
        wanted = np.concatenate(self._raw(expected, "boxes", chosen))
        strides = np.repeat([level.stride for level in self._levels], [len(each) for each in chosen.anchors])[:, None]
        distances = box_distances(found) * strides
        apart = max_abs(box_distances(wanted) * strides, distances)
        detections = self.parts.spec.outputs[0]
        if detections.meaning != "yolo-detections" or self.parts.spec.precision != "fp32":
            return apart  # they are sorted, or less exact than the branch
        centres = (np.concatenate(chosen.anchors)[:, :0:-1] + 0.5) * strides
        low, high = centres - distances[:, :2], centres + distances[:, 2:]
        images, numbers = self._numbers(expected, chosen)
        boxes = expected[detections.name][images, :4, numbers]
        return max(apart, max_abs(boxes, np.concatenate([(low + high) / 2, high - low], axis=1)))

    def _numbers(self, expected: Mapping[str, Array], chosen: _Chosen) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Image of each chosen anchor, and its number among all anchors of the dense graph."""
        numbers, first = [], 0
        for level, anchors in zip(self._levels, chosen.anchors, strict=True):
            height, width = expected[f"boxes_{level.stride}"].shape[2:]
            numbers.append(first + anchors[:, 1] * width + anchors[:, 2])
            first += height * width
        return np.concatenate(chosen.anchors)[:, 0], np.concatenate(numbers)

    def _raw(self, outputs: Mapping[str, Array], kind: str, chosen: _Chosen) -> list[Array]:
        """The dense graph's output of a branch for the chosen anchors (k, c), per level."""
        return [
            outputs[f"{kind}_{level.stride}"][anchors[:, 0], :, anchors[:, 1], anchors[:, 2]]
            for level, anchors in zip(self._levels, chosen.anchors, strict=True)
        ]

    def _patches(self, features: Mapping[str, Array], chosen: _Chosen, reach: int) -> dict[str, Array]:
        inputs: dict[str, Array] = {}
        for level, anchors in zip(self._levels, chosen.anchors, strict=True):
            name = f"features_{level.stride}"
            shape = features[name].shape
            image = int(anchors[0, 0])
            inputs |= whole(level, shape, image, reach) if chosen.whole else around(level, shape, anchors, reach)
            inputs[name] = features[name]
        return inputs

    def _tiles(
        self, features: Mapping[str, Array], firsts: NDArray[np.int64], size: tuple[int, int]
    ) -> dict[str, Array]:
        """The inputs for the prototypes of tiles: their images, first rows and first columns (k, 3), and their size."""
        name = self.parts.mask_features
        return {name: features[name], **tiles(features[name].shape, firsts, size, self.parts.margin_cells)}

    def _prototypes(self, expected: Array, found: Array, firsts: NDArray[np.int64], size: tuple[int, int]) -> float:
        """Largest difference of the prototypes of tiles (k, c, y, x) inside the map."""
        per_cell = self.parts.branches.per_cell
        apart = 0.0
        for made, (image, *corner) in zip(found, firsts.tolist(), strict=True):
            low = np.array(corner) * per_cell
            end = low + np.array(size) * per_cell
            inside = low.clip(0), np.minimum(end, expected.shape[2:])
            (top, left), (bottom, right) = inside
            part = made[:, top - low[0] : bottom - low[0], left - low[1] : right - low[1]]
            apart = max(apart, max_abs(expected[image, :, top:bottom, left:right], part))
        return apart / max(float(np.abs(expected).max()), 1e-12)


def box_distances(raw: Array) -> NDArray[np.float64]:
    """Distances (m, 4) of a box's sides from its anchor, in cells, from raw numbers (m, 4 * distances)."""
    logits = raw.astype(np.float64).reshape(len(raw), 4, -1)
    if logits.shape[2] == 1:
        return logits[:, :, 0]
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    return np.asarray((weights @ np.arange(logits.shape[2])) / weights.sum(axis=2))


def _on_edges_and_inside(images: int, height: int, width: int) -> NDArray[np.int64]:
    """Anchors (k, 3) in all corners, on and near all edges, and at random places."""
    generator = np.random.default_rng(height * width)
    rows, columns = (
        sorted({0, 1, length // 2, length - 2, length - 1} & {*range(length)}) for length in (height, width)
    )
    edges = np.array(np.meshgrid(range(images), rows, columns)).reshape(3, -1).T
    inside = generator.integers(0, (images, height, width), (_RANDOM_ANCHORS, 3))
    return np.asarray(np.concatenate([edges, inside]), np.int64)


def _all_of_last(images: int, height: int, width: int) -> NDArray[np.int64]:
    """All anchors (h * w, 3) of the last image."""
    rows, columns = np.divmod(np.arange(height * width), width)
    return np.stack([np.full(len(rows), images - 1), rows, columns], axis=1)


def _single_tiles(images: int, height: int, width: int) -> Iterator[tuple[NDArray[np.int64], tuple[int, int]]]:
    """One tile at a time, of the last image: the whole map, its edges, its middle and one cell inside."""
    for top, bottom in _ranges(height):
        for left, right in _ranges(width):
            yield np.array([[images - 1, top, left]]), (bottom - top, right - left)


def _several_tiles(images: int, height: int, width: int) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Tiles of all images in one run, which overlap each other and the edges of the map."""
    size = max(height // 3, 1), max(width // 3, 1)
    rows, columns = (
        sorted({-(side // 2), 0, length // 2, length - (side + 1) // 2})
        for side, length in zip(size, (height, width), strict=True)
    )
    return np.array(np.meshgrid(range(images), rows, columns)).reshape(3, -1).T.astype(np.int64), size


def _ranges(length: int) -> list[tuple[int, int]]:
    """Parts of an axis: the whole, its ends, its middle and one cell inside."""
    third = max(length // 3, 1)
    return sorted(
        {(0, length), (0, third), (length - third, length), (third, length - third), (length // 2, length // 2 + 1)}
    )


def _tensor(level: Level, kind: str) -> str:
    return {"boxes": level.boxes.output, "coefficients": level.coefficients.output, "classes": level.classes}[kind]
