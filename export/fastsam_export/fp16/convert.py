"""halve: proven fp32 graphs to fp16, each compared with its fp32 self before it takes its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import ArraysInput, FeatureInput, ImageInput, TokenInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.errors import ExportError
from fastsam_export.family import Exported
from fastsam_export.fp16.agreement import agreement, tolerance
from fastsam_export.fp16.fp32_islands import peaks
from fastsam_export.fp16.graph_conversion import simple, to_half
from fastsam_export.onnx_file import write_spec
from fastsam_export.parity import TEXTS, synthetic_pictures
from fastsam_export.proof import FP32_GRAPH, check_finite, prove, run_on_cpu

_QUERIES = (1, 7)  # how many queries a graph of chosen queries is compared on

Answers = list[dict[str, Array]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Compared:
    """Inputs for one graph, and what it makes of them in both precisions; fp16 inputs come from fp16 graphs."""

    what: str
    inputs: Answers
    inputs_fp16: Answers
    expected: Answers
    found: Answers


def halve(made: Sequence[Exported], step: Callable[[str], None]) -> list[Exported]:
    """Convert the graphs of an export to fp16, in place, and prove each against the fp32 graph.

    Graphs keep their names, inputs and outputs. A graph that takes what another gives comes after it.

    Args:
        made: The files of one model, in fp32.
        step: Told, in a few words, what begins.

    Raises:
        ExportError: A graph can't be converted.
        ParityError: A graph in fp16 gives something else, or numbers that are not finite.
    """
    import onnx

    halved: list[Exported] = []
    done: list[_Compared] = []
    for each in made:
        if each.spec is None or isinstance(
            each.spec.input, ArraysInput
        ):  # no graph, or one that prepares others' inputs
            halved.append(each)
            continue
        path, spec = each.path, dataclasses.replace(each.spec, precision="fp16", parity=None)
        step(f"measuring {path.name}")
        what, inputs, inputs_fp16 = _inputs(path, each.spec, done)
        expected = run_on_cpu(path, inputs)
        model = simple(onnx.load(str(path)))
        step(f"converting {path.name} to fp16")
        onnx.save(to_half(model, peaks(model, inputs)), str(path))
        write_spec(path, spec)
        step(f"comparing {path.name} with fp32")
        found = run_on_cpu(path, inputs_fp16)
        check_finite(path, found, what)
        recorded = f"{what} on onnxruntime, against {FP32_GRAPH}, which was compared with PyTorch"
        pairs = zip(expected, found, strict=True)
        proven = prove(path, spec, tolerance(spec), ((recorded, agreement(spec, *pair)) for pair in pairs), FP32_GRAPH)
        done.append(_Compared(what, inputs, inputs_fp16, expected, found))
        halved.append(Exported(path, proven))
    return halved


def _inputs(path: Path, spec: ModelSpec, done: Sequence[_Compared]) -> tuple[str, Answers, Answers]:
    """What to run a graph on, in words and as arrays, for fp32 and for fp16."""
    if isinstance(spec.input, FeatureInput):
        giving = next(each for each in done if set(spec.input.names) <= each.expected[0].keys())
        inputs, inputs_fp16 = _features(spec.input, giving)
        return f"{' and '.join(map(str, _QUERIES))} queries on {giving.what}", inputs, inputs_fp16
    if isinstance(spec.input, TokenInput):
        inputs = [{spec.input.name: _tokens(spec.input, path.parent / "tokenizer.json")}]
        return f"{len(TEXTS)} texts", inputs, inputs
    if not isinstance(spec.input, ImageInput):
        raise ExportError(f"fp16: expected a graph that takes pictures, texts or features, found {path.name}")
    inputs = [{spec.input.name: each} for each in _pictures(spec.input)]
    sizes = " and ".join(f"{h} x {w}" for h, w in (each[spec.input.name].shape[2:] for each in inputs))
    return f"2 drawn pictures at {sizes}", inputs, inputs


def _pictures(image: ImageInput) -> list[Array]:
    """Drawn pictures as the graph takes them, (2, 3, h, w): at its size, and at a wide one where it takes any."""
    sizes = [(image.height, image.width)]
    if image.size_multiple is not None:
        wide = -(-image.height * 3 // 5 // image.size_multiple) * image.size_multiple
        sizes = sorted({*sizes, (wide, image.width)})
    mean, std = np.array(image.mean), np.array(image.std)
    batches = (np.stack(synthetic_pictures(2, *size)) for size in sizes)
    return [((each * image.scale - mean) / std).astype(np.float32).transpose(0, 3, 1, 2).copy() for each in batches]


def _tokens(tokens: TokenInput, tokenizer: Path) -> Array:
    """Token ids of a few texts (n, length)."""
    from tokenizers import Tokenizer

    made = Tokenizer.from_file(str(tokenizer))
    made.enable_truncation(tokens.length)
    made.enable_padding(pad_id=tokens.pad_id, length=tokens.length)
    return np.array([each.ids for each in made.encode_batch(list(TEXTS))], np.int64)


def _features(features: FeatureInput, giving: _Compared) -> tuple[Answers, Answers]:
    """The outputs of the graph that gives the features, one picture at a time, for the queries it is surest of."""
    pair: tuple[Answers, Answers] = [], []
    queries = features.names[0]
    for expected, found in zip(giving.expected, giving.found, strict=True):
        for index in range(len(expected[queries])):
            surest = np.argsort(_nothing(expected)[index])
            for count in _QUERIES:
                for answers, all_given in zip(pair, (expected, found), strict=True):
                    given = {name: all_given[name][index : index + 1] for name in features.names}
                    given[queries] = given[queries][:, np.sort(surest[:count])]
                    answers.append(given)
    return pair


def _nothing(given: Mapping[str, Array]) -> Array:
    """How sure each query (n, q) is that it shows nothing: the last class."""
    return np.asarray(given["class_logits"][..., -1])
