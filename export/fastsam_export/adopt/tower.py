"""Tower: one tower of a ready model, adapted to output embeddings of length one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import ImageInput, TokenInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_export.adopt.logit_constants import unit_rows
from fastsam_export.adopt.ready_graph import ReadyGraph
from fastsam_export.errors import AdoptionError

PIXELS, TOKENS, MASK = "pixel_values", "input_ids", "attention_mask"
"""Inputs of ready graphs: pictures, token ids, and which tokens count."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Inputs to compare on: pictures (n, 3, h, w) float32 and token ids (m, length) int64."""

    pixels: Array
    tokens: Array

    def runs(self, *, one_by_one: bool) -> list[Examples]:
        """One picture and one text, and all of them; or, for graphs of a fixed batch, only pairs."""
        count = min(len(self.pixels), len(self.tokens)) if one_by_one else 1
        pairs = [Examples(self.pixels[i : i + 1], self.tokens[i : i + 1]) for i in range(count)]
        return pairs if one_by_one else [*pairs, self]

    def inputs(self, names: Sequence[str]) -> dict[str, Array]:
        """The inputs of a graph; every token counts, since texts are padded to the length of training."""
        known = {PIXELS: self.pixels, TOKENS: self.tokens, MASK: np.ones_like(self.tokens)}
        return {name: known[name] for name in names}


class Tower:
    """One tower of a ready graph, which may contain the other one, too."""

    def __init__(self, path: Path, taken: ImageInput | TokenInput, candidates: Sequence[str]) -> None:
        """Load the graph and find the tower's embeddings in it.

        Args:
            path: The graph.
            taken: The tower's input.
            candidates: Outputs that may be its embeddings, the best first.

        Raises:
            ModelFileError: The file can't be read.
            AdoptionError: It is a graph of another task.
        """
        self.graph = ReadyGraph(path)
        self.path, self._taken = path, taken
        found = [name for name in candidates if name in self.graph.outputs]
        if not found or taken.name not in self.graph.inputs:
            raise AdoptionError(
                path,
                f"expected {taken.name} among its inputs and {' or '.join(candidates)} among its outputs, found "
                f"{', '.join(self.graph.inputs)} and {', '.join(self.graph.outputs)}: it is a graph of another task",
            )
        if unknown := self.graph.inputs.keys() - {PIXELS, TOKENS, MASK}:
            raise AdoptionError(
                path, f"expected {PIXELS}, {TOKENS} and {MASK}, found {', '.join(sorted(unknown))} as well"
            )
        self.output = found[0]
        axes = self.graph.inputs[taken.name].axes or ()
        self.batch = axes[0] if axes and isinstance(axes[0], int) else "batch"
        if self.batch not in (1, "batch"):
            raise AdoptionError(path, f"expected a free batch or a batch of one, found {self.batch}")
        wanted = self._lengths(taken)
        if len(axes) != 1 + len(wanted) or any(
            isinstance(axis, int) and axis != length for axis, length in zip(axes[1:], wanted, strict=True)
        ):
            raise AdoptionError(
                path, f"input {taken.name!r}: expected (n, {', '.join(map(str, wanted))}), found {axes}"
            )

    @property
    def is_fixed(self) -> bool:
        """Whether it takes one picture or text at a time."""
        return self.batch == 1

    def embeddings(self, outputs: Mapping[str, Array]) -> Array:
        """What the adopted graph has to compute: the original's embeddings, scaled to length one.

        Raises:
            AdoptionError: The output is no embedding.
        """
        rows = outputs[self.output]
        if rows.ndim != 2:
            raise AdoptionError(self.path, f"output {self.output!r}: expected an embedding (n, d), found {rows.shape}")
        return unit_rows(rows).astype(np.float32)

    def save(self, path: Path, spec: ModelSpec, width: int) -> ModelSpec:
        """Write the adapted graph. It can be written once.

        Args:
            path: The file.
            spec: The spec of a tower of this model; the input and the output are filled in.
            width: Length of an embedding.

        Returns:
            The spec of this tower.
        """
        name = "image_embeds" if isinstance(self._taken, ImageInput) else "text_embeds"
        spec = replace(
            spec,
            task="embed-image" if isinstance(self._taken, ImageInput) else "embed-text",
            input=replace(self._taken, batch=(1, 1 if self.is_fixed else None)),
            outputs=(Output(name, "embedding", "N D"),),
        )
        needed = set(self.graph.keep((self.output,)))
        if self._taken.name not in needed or needed - {self._taken.name, MASK}:
            raise AdoptionError(
                self.path, f"expected {self.output} to need {self._taken.name}, found {', '.join(sorted(needed))}"
            )
        if MASK in needed:
            self.graph.fill_with_ones(MASK, self._lengths(self._taken), like=self._taken.name)
        self.graph.set_input(self._taken.name, self._taken.dtype, (self.batch, *self._lengths(self._taken)))
        self.graph.rename_output(self.output, name)
        self.graph.normalise(name)
        self.graph.set_output(name, (self.batch, width))
        self.graph.save(path, spec)
        return spec

    @staticmethod
    def _lengths(taken: ImageInput | TokenInput) -> tuple[int, ...]:
        return (3, taken.height, taken.width) if isinstance(taken, ImageInput) else (taken.length,)
