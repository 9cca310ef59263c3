"""Build the three graphs of a segmenter that was cut: trunk, heads and masks.

- `M.onnx`, the trunk: frame to the best class logit of every anchor, and the features for the other two.
- `M.heads.onnx`: patches of features around chosen anchors to their raw boxes.
- `M.masks.onnx`: patches of features around selected anchors to their mask coefficients, and tiles of a feature map,
  with a margin, to the prototypes of these tiles.

Indices of patches are computed by the host: `cells_s` (k, y, x) are flat indices into the (N * h * w) cells of the
features of stride s, arbitrary but valid where `inside_s` is 0; `picks_s` (m) are flat indices into the
(k, y - 2 reach, x - 2 reach) anchors that the patches give. `tile_cells` and `tile_inside` (k, y, x) are the same for
the features of the prototypes, with the margin of each tile.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from fastsam_engine.spec.model_input import ArraysInput, ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Output, Task
from fastsam_export.sparse.branches import Branch, Branches, Level
from fastsam_export.sparse.dense_graph import DenseGraph
from fastsam_export.sparse.local_branch import Patches, add_shrinking, reach_cells
from fastsam_export.sparse.locality import reaches
from fastsam_export.sparse.part_axes import arrays, joined, map_axes, patches_of, tiles_of
from fastsam_export.sparse.part_builder import PartBuilder

END_TO_END = "yolo-end2end"
_NHWC = [0, 2, 3, 1]


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """The graphs of a segmenter, to be built from its dense graph.

    Attributes:
        dense: The dense graph.
        spec: Its spec.
        branches: Its branches.
        export_id: Hash of the dense graph's file.
    """

    dense: DenseGraph
    spec: ModelSpec
    branches: Branches
    export_id: str

    @property
    def image(self) -> ImageInput:
        """The input of the model."""
        if not isinstance(self.spec.input, ImageInput):
            raise TypeError(f"expected a spec of images, found one of {self.spec.input.kind}")
        return self.spec.input

    @property
    def mask_features(self) -> str:
        """Name of the features that the prototypes are computed from."""
        branches = self.branches
        shared = any(level.boxes.features == branches.prototypes.features for level in branches.levels)
        return f"features_{branches.prototype_stride}" if shared else "mask_features"

    @property
    def margin_cells(self) -> int:
        """Cells around a tile of the prototypes' features that change its prototypes, on each side."""
        reach = reaches(self.dense, self.branches.prototypes)[self.branches.prototypes.output]
        return math.ceil(max(reach.rows, reach.columns))

    def patches(self, reach: int) -> ArraysInput:
        """The features, cells, inside and picks of all levels, for patches that reach some cells around an anchor."""
        taken = arrays()
        for level in self.branches.levels:
            taken = joined(taken, *patches_of(self.image, level, reach))
        return taken

    def reach_cells(self, kind: str) -> int:
        """Cells around an anchor that its `boxes` or `coefficients` need, on each side."""
        return max(reach_cells(self.dense, getattr(level, kind)) for level in self.branches.levels)

    def build_trunk(self, path: Path) -> ModelSpec:
        """Write `M.onnx`. Returns its spec."""
        levels, classes = self.branches.levels, len(self.spec.class_names)
        end_to_end = self.spec.family == END_TO_END
        outputs = [Output("best_logits", "anchor-logits", "N ANCHORS")]
        if end_to_end:
            outputs += [
                Output(f"class_logits_{s}", "class-logits", f"N H/{s} W/{s} {classes}") for s in _strides(levels)
            ]
        elif classes > 1:
            outputs.append(Output("class_ids", "anchor-classes", "N ANCHORS"))
        outputs += [_features(f"features_{level.stride}", "features", level.stride, level.channels) for level in levels]
        wanted = [level.classes for level in levels] + [level.boxes.features for level in levels]
        if self.mask_features == "mask_features":
            stride, channels = self.branches.prototype_stride, self.branches.prototype_channels
            outputs.append(_features("mask_features", "prototype-features", stride, channels))
            wanted.append(self.branches.prototypes.features)
        spec = self._spec("segment", self.image, outputs, {})
        graph = PartBuilder(spec, self.dense)
        graph.keep(self.dense.between([], wanted))
        logits = [graph.float32(level.classes, level.classes) for level in levels]
        best = [graph.ReduceMax(each, [1], keepdims=1) for each in logits]
        made = {graph.Concat(*(graph.Reshape(each, [0, -1]) for each in best), axis=1): "float32"}
        if end_to_end:
            made |= {graph.Transpose(each, perm=_NHWC): "float32" for each in logits}
        elif classes > 1:
            ids = [
                graph.Reshape(_first_best(graph, *pair, classes), [0, -1]) for pair in zip(logits, best, strict=True)
            ]
            made[graph.cast(graph.Concat(*ids, axis=1), "int32")] = "int32"
        for tensor in wanted[len(levels) :]:
            made[graph.float32(graph.Transpose(tensor, perm=_NHWC), tensor)] = "float32"
        graph.save(path, made)
        return spec

    def build_heads(self, path: Path) -> ModelSpec:
        """Write `M.heads.onnx`. Returns its spec."""
        reach = self.reach_cells("boxes")
        channels = self.dense.shape(self.branches.levels[0].boxes.output)[1]
        output = Output("boxes", "anchor-boxes", f"M {channels}")
        spec = self._spec("heads", self.patches(reach), [output], {"reach_cells": float(reach)})
        graph = PartBuilder(spec, self.dense)
        graph.save(path, {self._picked(graph, "boxes", reach): "float32"})
        return spec

    def build_masks(self, path: Path) -> ModelSpec:
        """Write `M.masks.onnx`. Returns its spec."""
        branches, reach = self.branches, self.reach_cells("coefficients")
        _, count, _, _ = self.dense.shape(branches.prototypes.output)
        stride, per_cell = branches.prototype_stride, branches.per_cell
        taken = self.patches(reach)
        if self.mask_features == "mask_features":
            layout = f"N h{stride} w{stride} {branches.prototype_channels}"
            taken = joined(taken, arrays(("mask_features", layout, "float32")), map_axes(self.image, stride))
        taken = joined(taken, *tiles_of(self.image, stride, self.margin_cells))
        outputs = [
            Output("coefficients", "mask-coefficients", f"M {count}"),
            Output("prototypes", "mask-prototypes", f"K {count} py px"),
        ]
        numbers = {"reach_cells": reach, "margin_cells": self.margin_cells, "prototypes_per_cell": per_cell}
        spec = self._spec("masks", taken, outputs, {name: float(each) for name, each in numbers.items()})
        graph = PartBuilder(spec, self.dense)
        coefficients = self._picked(graph, "coefficients", reach)
        graph.save(path, {coefficients: "float32", self._prototypes(graph): "float32"})
        return spec

    def _prototypes(self, graph: PartBuilder) -> str:
        """The prototypes of tiles, without the margin around them."""
        branch = self.branches.prototypes
        flat = graph.Reshape(self.mask_features, [-1, self.branches.prototype_channels])
        tiles = graph.Gather(flat, "tile_cells", axis=0)
        computed = add_shrinking(graph, branch, self._patches(graph, branch, tiles, "tile_inside", self.margin_cells))
        return graph.float32(computed, branch.output)

    def _picked(self, graph: PartBuilder, kind: str, reach: int) -> str:
        """The `boxes` or `coefficients` of the picked anchors of all levels (M, c)."""
        rows = []
        for level in self.branches.levels:
            branch: Branch = getattr(level, kind)
            flat = graph.Reshape(f"features_{level.stride}", [-1, level.channels])
            gathered = graph.Gather(flat, f"cells_{level.stride}", axis=0)
            patches = self._patches(graph, branch, gathered, f"inside_{level.stride}", reach)
            computed = add_shrinking(graph, branch, patches)
            channels = self.dense.shape(branch.output)[1]
            anchors = graph.Reshape(graph.Transpose(computed, perm=_NHWC), [-1, channels])
            picked = graph.Gather(anchors, f"picks_{level.stride}", axis=0)
            rows.append(graph.float32(picked, branch.output))
        return graph.Concat(*rows, axis=0)

    def _patches(self, graph: PartBuilder, branch: Branch, features: str, inside: str, reach: int) -> Patches:
        """The patches for a branch, from features (k, y, x, c) and the mask (k, y, x)."""
        # OpenVINO multiplies ten times as fast with the channels last.
        zeroed = graph.Transpose(graph.Mul(features, graph.Unsqueeze(inside, [3])), perm=[0, 3, 1, 2])
        start = graph.cast(zeroed, "float16") if self.dense.is_half(branch.features) else zeroed
        return Patches(start, graph.Unsqueeze(inside, [1]), reach)

    def _spec(
        self, task: Task, taken: ImageInput | ArraysInput, outputs: list[Output], constants: dict[str, float]
    ) -> ModelSpec:
        return dataclasses.replace(
            self.spec,
            family=f"{self.spec.family}-sparse",
            task=task,
            input=taken,
            outputs=tuple(outputs),
            defaults={**self.spec.defaults, **constants},
            export_id=self.export_id,
        )


def _first_best(graph: PartBuilder, logits: str, best: str, classes: int) -> str:
    """The first class with the best logit. OpenVINO's ArgMax sorts, and takes eight times as long as these nodes."""
    from_last = np.arange(classes - 1, -1, -1, dtype=np.float32).reshape(1, -1, 1, 1)
    found = graph.Mul(graph.cast(graph.Equal(logits, best), "float32"), from_last)
    return graph.Sub(float(classes - 1), graph.ReduceMax(found, [1], keepdims=1))


def _strides(levels: tuple[Level, ...]) -> list[int]:
    return [level.stride for level in levels]


def _features(name: str, meaning: str, stride: int, channels: int) -> Output:
    return Output(name, meaning, f"N H/{stride} W/{stride} {channels}")
