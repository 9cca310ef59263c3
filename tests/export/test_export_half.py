"""fp16 exports: every family compared with its fp32 graph, and values that fp16 alone would break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.errors import BackendUnavailableError
from fastsam_engine.spec.model_input import ArraysInput, FeatureInput, ImageInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.spec.spec_document import parse_spec
from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from fastsam_trt.clip.model import Clip
from fastsam_trt.demo import draw_scene
from support import small_transformers

pytestmark = pytest.mark.usefixtures("export_extra")

MODELS = (*small_transformers.FAMILIES, "demo-seg", "demo-clip", "yolo26")
BOUND = {"max_rel_features": 0.01, "min_cosine": 0.9999, "min_mask_iou": 0.95}


@pytest.mark.parametrize("name", MODELS)
def test_the_files_are_fp16_and_their_specs_record_it(fp32: dict[str, Path], fp16: dict[str, Path], name: str) -> None:
    for graph in _graphs(fp16[name]):
        before, spec = read_spec(fp32[name] / graph.name), read_spec(graph)
        assert (before.precision, spec.precision) == ("fp32", "fp16")
        assert (spec.input, spec.outputs, spec.class_names) == (before.input, before.outputs, before.class_names)
        assert parse_spec(spec.to_json()) == spec
        assert spec.parity is not None
        assert set(spec.parity.worst) == set(spec.parity.tolerance)
        assert "against the fp32 graph" in spec.parity.inputs[0]
        for figure, bound in BOUND.items():
            worst = spec.parity.worst.get(figure, bound)
            assert worst <= bound if figure.startswith("max_") else worst >= bound
        large, small = _weights(fp32[name] / graph.name), _weights(graph)
        assert small < (0.53 if large > 1e6 else 0.56) * large
        if large > 4e6:  # most of the file
            assert graph.stat().st_size < 0.53 * (fp32[name] / graph.name).stat().st_size


def _graphs(folder: Path) -> list[Path]:
    """The graphs of a model that become fp16; helper graphs stay in fp32."""
    return [path for path in sorted(folder.glob("*.onnx")) if not isinstance(read_spec(path).input, ArraysInput)]


def _weights(graph: Path) -> int:
    """Bytes of the floats in a graph."""
    import onnx

    model = onnx.load(str(graph))
    constants = [a.t for node in model.graph.node if node.op_type == "Constant" for a in node.attribute]
    stored = [each for each in (*model.graph.initializer, *constants) if each.data_type in (1, 10)]
    return sum(onnx.numpy_helper.to_array(each).nbytes for each in stored)


@pytest.mark.parametrize("name", MODELS)
def test_the_types_are_strict(fp16: dict[str, Path], name: str) -> None:
    """Inputs and outputs as before, one type a node, Resize's scales in fp32, no cast that changes or feeds nothing."""
    import onnx

    from fastsam_export.fp16.fp32_islands import float_types

    for path in _graphs(fp16[name]):
        model = onnx.load(str(path))
        onnx.checker.check_model(model, full_check=True)
        types, graph = float_types(model), model.graph
        assert {each.type.tensor_type.elem_type for each in (*graph.input, *graph.output)} <= {1, 7}
        used = {each for node in graph.node for each in node.input} | {each.name for each in graph.output}
        assert {each.name for each in graph.initializer} <= used
        for node in graph.node:
            assert set(node.output) & used
            if node.op_type == "Cast":
                assert types[node.input[0]] != types[node.output[0]] or types[node.input[0]] not in (1, 10)
            elif node.op_type == "Resize":
                assert not node.input[2] or types[node.input[2]] == 1
            else:
                kinds = {types[each] for each in (*node.input, *node.output) if each} & {1, 10}
                assert len(kinds) <= 1 or node.op_type == "Shape", node.name
            if node.op_type in ("LayerNormalization", "InstanceNormalization", "Softmax", "GridSample"):
                assert types[node.output[0]] == 1


@pytest.mark.parametrize("name", MODELS)
def test_both_backends_take_fp32_and_give_fp32(
    fp32: dict[str, Path], fp16: dict[str, Path], name: str, backend: str
) -> None:
    for path in _graphs(fp16[name]):
        session = open_session(path, backend, precision="fp32")
        assert session.precision == "fp32"
        inputs = _inputs(session.spec, fp32[name])
        expected = open_session(fp32[name] / path.name, "onnxruntime").run(inputs)
        for output, array in session.run(inputs).items():
            assert array.dtype == np.float32
            assert np.isfinite(array).all()
            if name != "yolo26":  # whose detections may change ranks
                assert np.abs(array - expected[output]).max() <= 0.02 * max(np.abs(expected[output]).max(), 1)


def _inputs(spec: ModelSpec, folder: Path) -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(0)
    if isinstance(spec.input, ImageInput):
        shape = (1, 3, spec.input.height, spec.input.width)
        return {spec.input.name: generator.uniform(0, 1, shape).astype(np.float32)}
    if isinstance(spec.input, FeatureInput):
        giving = open_session(find_graph(folder), "onnxruntime")
        given = giving.run(_inputs(giving.spec, folder))
        return {name: given[name] for name in spec.input.names}
    return {spec.input.name: generator.integers(0, 200, (2, spec.input.length))}


def test_the_cpu_computes_it_in_fp32_and_reports_that(fp16: dict[str, Path]) -> None:
    graph = find_graph(fp16["demo-seg"])
    assert open_session(graph, "onnxruntime").precision == "fp32"
    with pytest.raises(BackendUnavailableError, match="this graph, which is fp16, in fp32 on cpu, not in fp16"):
        open_session(graph, "onnxruntime", precision="fp16")


def test_trained_models_select_the_same_segments(fp32: dict[str, Path], fp16: dict[str, Path], backend: str) -> None:
    scene = draw_scene(3)
    before, after = (
        Pipeline(
            folders["demo-seg"],
            clip=folders["demo-clip"],
            prompts=["a red circle", "a blue square", "a green star"],
            backend=backend,
            precision="fp32",  # some processors would compute both in less, each with its own roundings
        )(scene.frame)
        for folders in (fp32, fp16)
    )
    assert len(before) >= 1
    assert after.labels == before.labels
    np.testing.assert_allclose(after.boxes, before.boxes, atol=2)
    overlap = (before.masks() & after.masks()).sum() / (before.masks() | after.masks()).sum()
    assert overlap > 0.97
    texts = [Clip(folders["demo-clip"]).text.embed(["red circle"], ("{}",)) for folders in (fp32, fp16)]
    assert (texts[0] * texts[1]).sum() > 0.9999


def test_the_command_installs_it_beside_fp32(
    small_checkpoints: dict[str, Path], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ["export", "mine", "--weights", str(small_checkpoints["detr"]), "--imgsz", "96", "128"]
    assert main(request) == 0
    assert "parity with PyTorch" in capsys.readouterr().out
    assert main([*request, "--precision", "fp16"]) == 0
    assert "parity with fp32" in capsys.readouterr().out
    models = home / "models"
    names = [f"mine{suffix}" for suffix in (".masks.onnx", ".onnx", ".preprocess.onnx")]
    assert [each.name for each in sorted((models / "mine").iterdir())] == names
    assert [each.name for each in sorted((models / "mine-fp16").iterdir())] == names
    assert main(["info", "mine-fp16"]) == 0
    assert "precision" in (shown := capsys.readouterr().out)
    assert "fp16" in shown
    frame = small_transformers.tiles(300, 400, seed=5)
    one, other = (Pipeline(name, conf=0.3, backend="onnxruntime")(frame) for name in ("mine", "mine-fp16"))
    assert one.class_ids.tolist() == other.class_ids.tolist()
    assert (one.masks() == other.masks()).mean() > 0.99


@pytest.mark.parametrize(
    ("factor", "expected"), [(-1.0, "same outputs as the fp32 graph"), (np.nan, "NaN or infinite in output")]
)
def test_a_graph_that_loses_its_parity_is_not_kept(
    small_checkpoints: dict[str, Path], home: Path, factor: float, expected: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    import onnx

    from fastsam_export.fp16 import convert

    real = convert.to_fp16

    def broken(*arguments: Any) -> Any:
        model = real(*arguments)
        for each in model.graph.initializer:
            if each.data_type == onnx.TensorProto.FLOAT16:
                each.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(each) * factor, each.name))
        return model

    monkeypatch.setattr(convert, "to_fp16", broken)
    request = ["export", "mine", "--weights", str(small_checkpoints["detr"]), "--imgsz", "96", "128"]
    assert main([*request, "--precision", "fp16"]) == 1
    error = capsys.readouterr().err
    assert expected in error
    assert "no file was kept" in error
    assert not (home / "models" / "mine-fp16").exists()


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    from fastsam_export import export_model
    from fastsam_export.errors import UnknownExportError

    with pytest.raises(UnknownExportError, match="expected precision fp32 or fp16 or int8, found 'int3'"):
        export_model("yolov8n-seg", precision="int3")  # type: ignore[arg-type]


def _block(square: str, scale: float) -> Any:
    """A seeded transformer block whose layer normalisations are written out; activations of about `scale`."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(0)
    width, nodes, stored = 64, [], {}

    def put(name: str, value: Any) -> str:
        stored[name] = np.asarray(value, np.int64 if name.startswith("axes") else np.float32)
        return name

    def node(kind: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"t{len(nodes)}"], f"n{len(nodes)}", **attributes))
        return str(nodes[-1].output[0])

    def linear(x: str, outputs: int, gain: float = 1.0) -> str:
        inputs = 256 if outputs == -width else width
        weight = generator.normal(0, gain / inputs**0.5, (inputs, abs(outputs)))
        return node("MatMul", x, put(f"w{len(nodes)}", weight))

    def norm(x: str) -> str:
        off = node("Sub", x, node("ReduceMean", x, "axes"))
        squared = node("Pow", off, put("two", 2)) if square == "Pow" else node("Mul", off, off)
        spread = node("Sqrt", node("Add", node("ReduceMean", squared, "axes"), put("eps", 1e-5)))
        return node("Div", off, spread)

    put("axes", [-1])
    stream = linear("x", width, scale)
    seen = norm(stream)
    weights = node("MatMul", linear(seen, width), node("Transpose", linear(seen, width), perm=[0, 2, 1]))
    weights = node("Softmax", node("Mul", weights, put("eighth", 0.125)), axis=-1)
    stream = node("Add", stream, linear(node("MatMul", weights, linear(seen, width)), width, scale))
    hidden = linear(norm(stream), 256)
    gate = node("Add", node("Erf", node("Mul", hidden, put("root", 0.5**0.5))), put("one", 1))
    stream = node("Add", stream, linear(node("Mul", hidden, gate), -width, scale))
    last = linear(norm(stream), width)
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    shape = ["n", 16, width]
    graph = helper.make_graph(
        nodes, "block",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize("square", ["Pow", "Mul"])
@pytest.mark.parametrize("measured", [True, False])
def test_activations_of_hundreds_survive(square: str, measured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in trained SegFormer, Swin and CLIP: squares overflow fp16. Run by onnx's reference, which rounds each step.

    ONNX Runtime's processor provider computes fp16 nodes in fp32, so it would hide what breaks on a GPU.
    """
    from onnx.reference import ReferenceEvaluator

    from fastsam_export.fp16 import fp32_islands
    from fastsam_export.fp16 import graph as half_conversion
    from fastsam_export.fp16.graph_conversion import flatten, to_fp16

    model = flatten(_block(square, scale=400))
    x = np.random.default_rng(1).normal(size=(2, 16, 64)).astype(np.float32)
    magnitudes = fp32_islands.peaks(model, [{"x": x}])
    assert max(magnitudes.values()) > 65504
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    ours = to_fp16(model, magnitudes if measured else {})
    assert sum(node.op_type == "MatMul" for node in ours.graph.node) == 10
    assert {each.data_type for each in ours.graph.initializer if each.name.startswith("w")} == {10}
    (found,) = ReferenceEvaluator(ours).run(None, {"x": x})
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 0.01 * np.abs(expected).max()
    monkeypatch.setattr(half_conversion, "islands", lambda *_: set())
    with np.errstate(all="ignore"):
        (naive,) = ReferenceEvaluator(to_fp16(model, {})).run(None, {"x": x})
    assert not np.isfinite(naive).all() or np.abs(naive - expected).max() > 0.3 * np.abs(expected).max()


def test_nodes_with_large_measured_values_stay_in_fp32() -> None:
    """Only measurement finds a layer whose outputs exceed the range of fp16."""
    from onnx.reference import ReferenceEvaluator

    from fastsam_export.fp16.fp32_islands import peaks
    from fastsam_export.fp16.graph_conversion import flatten, to_fp16

    model = flatten(_block("Pow", scale=40000))
    x = np.random.default_rng(1).normal(size=(2, 16, 64)).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    (found,) = ReferenceEvaluator(to_fp16(model, peaks(model, [{"x": x}]))).run(None, {"x": x})
    assert np.abs(found - expected).max() < 0.01 * np.abs(expected).max()
    with np.errstate(all="ignore"):
        (unmeasured,) = ReferenceEvaluator(to_fp16(model, {})).run(None, {"x": x})
    assert not np.isfinite(unmeasured).all()
