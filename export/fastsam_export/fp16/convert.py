"""Convert proven fp32 graphs to fp16, and prove each against its fp32 graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import FeatureInput, ImageInput, TokenInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.errors import ExportError
from fastsam_export.family import Exported
from fastsam_export.fp16.agreement import bounds, compare
from fastsam_export.fp16.fp32_islands import peaks
from fastsam_export.fp16.graph_conversion import flatten, to_fp16
from fastsam_export.onnx_file import write_spec
from fastsam_export.parity import TEXTS, drawn_batches
from fastsam_export.proof import check_finite, prove_against_fp32, run_on_cpu

_QUERIES = (1, 7)  # numbers of queries on which a graph of chosen queries is compared

Arrays = list[dict[str, Array]]
"""Arrays by name, of several runs."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Compared:
    """A graph that was compared: its inputs and outputs in both precisions. fp16 inputs come from fp16 graphs."""

    what: str
    inputs: Arrays
    inputs_fp16: Arrays
    expected: Arrays
    found: Arrays


def convert_to_fp16(files: Sequence[Exported], step: Callable[[str], None]) -> list[Exported]:
    """Convert the graphs of an export to fp16, in place, and prove each against its fp32 graph.

    Graphs keep their names, inputs and outputs.

    Args:
        files: The files of one model, in fp32. A graph comes after the graph whose outputs it takes.
        step: Called with a short description when a step begins.

    Raises:
        ExportError: A graph can't be converted.
        ParityError: An fp16 graph computes something else, or numbers that are not finite.
    """
    import onnx

    converted: list[Exported] = []
    done: list[_Compared] = []
    for file in files:
        if file.spec is None or file.spec.is_helper:  # not a graph, or not part of the network
            converted.append(file)
            continue
        path, spec = file.path, dataclasses.replace(file.spec, precision="fp16", parity=None)
        step(f"measuring {path.name}")
        what, inputs, inputs_fp16 = _inputs(path, file.spec, done)
        expected = run_on_cpu(path, inputs)
        model = flatten(onnx.load(str(path)))
        step(f"converting {path.name} to fp16")
        onnx.save(to_fp16(model, peaks(model, inputs)), str(path))
        write_spec(path, spec)
        step(f"comparing {path.name} with fp32")
        found = run_on_cpu(path, inputs_fp16)
        check_finite(path, found, what)
        metrics = [compare(spec, *pair) for pair in zip(expected, found, strict=True)]
        proven = prove_against_fp32(path, spec, bounds(spec), f"{what} on onnxruntime", metrics)
        done.append(_Compared(what, inputs, inputs_fp16, expected, found))
        converted.append(Exported(path, proven))
    return converted


def _inputs(path: Path, spec: ModelSpec, done: Sequence[_Compared]) -> tuple[str, Arrays, Arrays]:
    """The inputs to compare a graph on: a description, and the arrays for fp32 and for fp16."""
    if isinstance(spec.input, FeatureInput):
        source = next(each for each in done if set(spec.input.names) <= each.expected[0].keys())
        inputs, inputs_fp16 = _features(spec.input, source)
        return f"{' and '.join(map(str, _QUERIES))} queries on {source.what}", inputs, inputs_fp16
    if isinstance(spec.input, TokenInput):
        inputs = [{spec.input.name: _tokens(spec.input, path.parent / "tokenizer.json")}]
        return f"{len(TEXTS)} texts", inputs, inputs
    if not isinstance(spec.input, ImageInput):
        raise ExportError(f"fp16: expected a graph that takes pictures, texts or features, found {path.name}")
    inputs = [{spec.input.name: batch} for batch in drawn_batches(spec.input)]
    sizes = " and ".join(f"{h} x {w}" for h, w in (arrays[spec.input.name].shape[2:] for arrays in inputs))
    return f"2 drawn pictures at {sizes}", inputs, inputs


def _tokens(tokens: TokenInput, tokenizer: Path) -> Array:
    """Token ids of a few texts (n, length)."""
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(tokenizer))
    loaded.enable_truncation(tokens.length)
    loaded.enable_padding(pad_id=tokens.pad_id, length=tokens.length)
    return np.array([encoding.ids for encoding in loaded.encode_batch(list(TEXTS))], np.int64)


def _features(features: FeatureInput, source: _Compared) -> tuple[Arrays, Arrays]:
    """Features from the outputs of another graph, for its most confident queries, one picture per run."""
    inputs: Arrays = []
    inputs_fp16: Arrays = []
    queries = features.names[0]
    for expected, found in zip(source.expected, source.found, strict=True):
        for index in range(len(expected[queries])):
            most_confident = np.argsort(_no_object(expected)[index])
            for count in _QUERIES:
                for runs, outputs in ((inputs, expected), (inputs_fp16, found)):
                    arrays = {name: outputs[name][index : index + 1] for name in features.names}
                    arrays[queries] = arrays[queries][:, np.sort(most_confident[:count])]
                    runs.append(arrays)
    return inputs, inputs_fp16


def _no_object(outputs: Mapping[str, Array]) -> Array:
    """The logit of "no object", the last class, of each query: (n, q)."""
    return np.asarray(outputs["class_logits"][..., -1])
