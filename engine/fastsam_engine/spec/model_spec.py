"""Define the spec of an exported graph, which contains everything needed to run it.

It is stored as one JSON document under the key `METADATA_KEY` of the ONNX metadata.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fastsam_engine.spec.model_input import ArraysInput, FeatureInput, ImageInput, TokenInput

SCHEMA_VERSION = 1
METADATA_KEY = "fastsam_trt.spec"

Task = Literal["segment", "heads", "masks", "embed-image", "embed-text", "preprocess", "crops", "decode"]
HELPER_TASKS = ("preprocess", "crops", "decode")
Precision = Literal["fp32", "bf16", "fp16", "int8"]


@dataclass(frozen=True, slots=True)
class Output:
    """An output of the graph: its name, its meaning (a word that the family's decoder knows), and its axes."""

    name: str
    meaning: str
    layout: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model comes from.

    Attributes:
        model_id: Hub id, or the name of the weights file.
        weights_sha256: Of the weights file; empty if unknown.
        versions: Name to version of the packages that exported it.
        licence: As the origin states it; empty if it does not.
        revision: Commit of the hub's repository that a ready model was adopted from; empty if it was exported.
        file: Path of the adopted ONNX file in that repository; empty if the model was exported.
        address: Web address of that repository or file; empty if the model was exported.
    """

    model_id: str
    weights_sha256: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    revision: str = ""
    file: str = ""
    address: str = ""

    @property
    def is_adopted(self) -> bool:
        """Whether the model was adopted from a ready ONNX file, not exported from weights."""
        return bool(self.file)


@dataclass(frozen=True, slots=True)
class Parity:
    """How the export was compared with PyTorch.

    Attributes:
        inputs: The inputs of the comparison, in words.
        worst: Metric to its worst value (`max_abs_*`: largest difference; `max_rel_*`: the same, relative to the
            largest value; `min_*`: smallest agreement).
        tolerance: Metric to its bound, which the export met.
    """

    inputs: tuple[str, ...]
    worst: Mapping[str, float]
    tolerance: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything needed to run one exported graph.

    Attributes:
        name: Short name of the model.
        family: Family whose decoder reads the outputs.
        task: What the graph does.
        input: Its input, or inputs.
        outputs: Its outputs.
        class_names: Class id to name, in order.
        class_agnostic: Whether the classes do not describe what a segment shows, like FastSAM's only class. None: not
            stated, as in files older than this field; see `is_class_agnostic`.
        defaults: Default thresholds and constants (`conf`, `iou`, `max_segments`; CLIP: `logit_scale` and, where
            it was calibrated, `even_cosine`, and `default_negatives` of 0 if prompts need no general negatives).
        precision: Of the weights in the graph.
        source: Origin.
        parity: The comparison with PyTorch; None for files that other tools exported.
        export_id: Sha256 of the graph that this one was cut from, 64 hexadecimal digits, the same for all graphs that
            belong together; empty for graphs that were not cut. See `family_parts.check_part`.
    """

    name: str
    family: str
    task: Task
    input: ImageInput | TokenInput | FeatureInput | ArraysInput
    outputs: tuple[Output, ...]
    class_names: tuple[str, ...] = ()
    class_agnostic: bool | None = None
    defaults: Mapping[str, float] = field(default_factory=dict)
    precision: Precision = "fp32"
    source: Source = field(default_factory=lambda: Source("unknown"))
    parity: Parity | None = None
    export_id: str = ""
    schema_version: int = SCHEMA_VERSION

    @property
    def is_helper(self) -> bool:
        """Whether the graph resizes frames, crops or masks around a model, and is no part of a network.

        Its arrays hold positions in px, which are too large for bf16 and TF32.
        """
        return self.task in HELPER_TASKS

    @property
    def is_part(self) -> bool:
        """Whether the graph computes heads or masks from patches of another graph's features."""
        return isinstance(self.input, ArraysInput) and not self.is_helper

    @property
    def is_class_agnostic(self) -> bool:
        """Whether the classes do not describe what a segment shows.

        If the file does not state it, this is true for a single class called `object`, as FastSAM was exported.
        """
        if self.class_agnostic is not None:
            return self.class_agnostic
        return len(self.class_names) == 1 and self.class_names[0].strip().casefold() == "object"

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of all inputs in the graph."""
        return (self.input.name,) if isinstance(self.input, ImageInput | TokenInput) else self.input.names

    @property
    def input_dtypes(self) -> tuple[str, ...]:
        """Dtypes of all inputs, in the order of their names."""
        if isinstance(self.input, ArraysInput):
            return self.input.dtypes
        return (self.input.dtype,) * len(self.input_names)

    def to_json(self) -> str:
        """Write the spec as one JSON document, which `spec_document.parse_spec` reads.

        Fields that older versions do not know are omitted while they are empty, since those versions refuse them.
        """
        document = dataclasses.asdict(self)
        if not self.export_id:
            del document["export_id"]
        for name in ("revision", "file", "address"):
            if not document["source"][name]:
                del document["source"][name]
        return json.dumps(document, sort_keys=True)
