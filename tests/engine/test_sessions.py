"""Test sessions: the same results on every backend, the fastest by default, no silent fallback."""

from __future__ import annotations

import dataclasses
import logging
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastsam_engine import find_graph, open_session, packages
from fastsam_engine.backends import Readiness, all_backends
from fastsam_engine.errors import (
    BackendUnavailableError,
    ComputeError,
    InputMismatchError,
    ModelFileError,
    PackageClashError,
    UnknownBackendError,
)
from support import colour_models


def _picture(height: int = 256, width: int = 256) -> np.ndarray:
    frame = colour_models.scene(("red", 2, 2), height=height, width=width)
    return np.ascontiguousarray(frame[None, ..., ::-1].transpose(0, 3, 1, 2), np.float32) / 255


def test_backends_agree_at_every_size(backend: str) -> None:
    session = open_session(find_graph("colours"), backend, precision="fp32")
    plain = open_session(find_graph("colours"), "onnxruntime")
    assert (session.backend, session.device, session.precision) == (backend, "cpu", "fp32")
    for height, width in ((256, 256), (128, 256), (256, 64), (256, 256)):
        picture = _picture(height, width)
        found, expected = session.run({"images": picture}), plain.run({"images": picture})
        assert found.keys() == {"output0", "output1"}
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, atol=1e-4)


def test_a_dynamic_batch_gives_what_single_runs_give(backend: str) -> None:
    session = open_session(find_graph("clip-colours", "image"), backend, precision="fp32")
    batch = np.random.default_rng(0).normal(size=(5, 3, 32, 32)).astype(np.float32)
    together = session.run({"pixel_values": batch})["image_embeds"]
    for row, picture in zip(together, batch, strict=True):
        np.testing.assert_allclose(session.run({"pixel_values": picture[None]})["image_embeds"][0], row, atol=1e-5)


def test_auto_takes_the_fastest_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    ranks = {name: each.readiness() for name, each in all_backends().items() if each.readiness().devices}
    with caplog.at_level(logging.INFO, "fastsam_engine"):
        session = open_session(find_graph("colours"))
    assert session.backend == min(ranks, key=lambda name: ranks[name].speed_rank)
    expected = (
        f"colours runs on {session.backend} {ranks[session.backend].version}, cpu, {session.precision} "
        f"(fastest here: {ranks[session.backend].reason})"
    )
    assert [record.message for record in caplog.records] == [expected]


def test_auto_passes_over_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Readiness("", (), "not installed", "pip install it")
    monkeypatch.setattr(type(all_backends()["openvino"]), "readiness", lambda _: absent)
    assert open_session(find_graph("colours")).backend == "onnxruntime"
    monkeypatch.setattr(type(all_backends()["onnxruntime"]), "readiness", lambda _: absent)
    with pytest.raises(BackendUnavailableError, match=r"no backend .*installed.*; pip install 'fastsam-trt\[cpu\]'"):
        open_session(find_graph("colours"))


def test_a_backend_requested_by_name_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastsam_engine.packages.metadata.version", _not_installed)
    for name in ("openvino", "onnxruntime"):
        with pytest.raises(BackendUnavailableError) as caught:
            open_session(find_graph("colours"), name)
        assert f"backend {name!r} can't be used: {name} is not installed; pip install" in str(caught.value)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownBackendError, match=r"a backend among auto, onnxruntime, openvino, .*found 'cuda'"):
        open_session(find_graph("colours"), "cuda")
    with pytest.raises(BackendUnavailableError, match="no device 'tpu'"):
        open_session(find_graph("colours"), "onnxruntime", device="tpu")
    with pytest.raises(BackendUnavailableError, match="a device 'tpu'"):
        open_session(find_graph("colours"), device="tpu")
    with pytest.raises(BackendUnavailableError, match="not in bf16"):
        open_session(find_graph("colours"), "onnxruntime", precision="bf16")
    with pytest.raises(BackendUnavailableError, match="does not compute in fp7"):
        open_session(find_graph("colours"), "openvino", precision="fp7")


def test_two_onnxruntime_wheels_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = packages.metadata.version
    monkeypatch.setattr(
        "fastsam_engine.packages.metadata.version", lambda name: "1.0" if name == "onnxruntime-gpu" else real(name)
    )
    with pytest.raises(PackageClashError, match="pip uninstall -y onnxruntime onnxruntime-gpu"):
        open_session(find_graph("colours"), "onnxruntime")
    with pytest.raises(PackageClashError):  # auto can't know which of the two would run
        open_session(find_graph("colours"))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({}, "expected this one input, found none"),
        ({"pictures": np.zeros((1, 3, 64, 64), np.float32)}, "found pictures"),
        ({"images": np.zeros((1, 3, 64, 64), np.float64)}, "expected float32, found float64"),
        ({"images": np.zeros((1, 3, 64, 65), np.float32)}, "multiples of 32"),
        ({"images": np.zeros((1, 3, 0, 64), np.float32)}, "multiples of 32"),
        ({"images": np.zeros((0, 3, 64, 64), np.float32)}, "1 <= n <= any"),
        ({"images": np.zeros((3, 64, 64), np.float32)}, "multiples of 32"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(backend: str, inputs: dict[str, np.ndarray], expected: str) -> None:
    session = open_session(find_graph("colours"), backend)
    with pytest.raises(InputMismatchError) as caught:
        session.run(inputs)
    assert expected in str(caught.value)


def test_a_graph_without_the_names_of_its_spec_is_refused(backend: str, tmp_path: Path) -> None:
    path = colour_models.save(colour_models.segmenter_graph(), tmp_path / "odd.onnx", colour_models.clip_specs()[0])
    with pytest.raises(ModelFileError, match="its spec names image_embeds, pixel_values"):
        open_session(path, backend)


def test_a_graph_that_the_library_cannot_load_is_refused(backend: str, tmp_path: Path) -> None:
    graph = colour_models.segmenter_graph()
    graph.node[0].op_type = "NoSuchOperator"
    import onnx

    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.helper.set_model_props(model, {"fastsam_trt.spec": colour_models.segmenter_spec().to_json()})
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="can't load it") as caught:
        open_session(path, backend)
    assert "\n" not in str(caught.value)


def test_a_run_that_memory_does_not_suffice_for_is_one_line(
    backend: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from onnx import helper, numpy_helper

    graph = colour_models.segmenter_graph()
    graph.initializer.append(numpy_helper.from_array(np.array([1 << 21, 1 << 21]), "lengths"))
    graph.node.append(helper.make_node("ConstantOfShape", ["lengths"], ["terabytes"]))
    graph.output.append(helper.make_tensor_value_info("terabytes", 1, [1 << 21, 1 << 21]))
    path = colour_models.save(graph, tmp_path / "large.onnx", colour_models.segmenter_spec())
    with pytest.raises(ComputeError, match=r"cpu: (running|compiling) colours failed \(.*; use a smaller") as caught:
        open_session(path, backend).run({"images": _picture()})
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def _not_installed(name: str) -> str:
    raise packages.metadata.PackageNotFoundError(name)


def test_a_session_that_takes_frames_gives_the_same_answers(backend: str, tmp_path: Path) -> None:
    """Where the backend normalises by itself, its spec says so, and the outputs are those of the plain way."""
    from fastsam_trt.frames.preprocess import FramePreprocessor

    spec = colour_models.segmenter_spec()
    for name, change in (
        ("plain", {}),
        ("shifted", {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}),
        ("bgr", {"colour": "BGR"}),
    ):
        other = dataclasses.replace(spec, input=dataclasses.replace(spec.input, **change))
        path = colour_models.save(colour_models.segmenter_graph(), tmp_path / f"{name}.onnx", other)
        frame = np.random.default_rng(0).integers(0, 256, (180, 250, 3), np.uint8)
        answers = []
        for frames in (False, True):
            session = open_session(path, backend, precision="fp32", frames=frames)
            picture, _ = FramePreprocessor(session.spec.input).prepare(frame)
            answers.append(session.run({"images": picture}))
        assert session.spec.input.dtype == ("uint8" if backend == "openvino" else "float32")
        for output in ("output0", "output1"):
            np.testing.assert_allclose(answers[1][output], answers[0][output], atol=2e-4)


def test_outputs_are_the_callers_to_keep(backend: str) -> None:
    for graph, inputs in (
        (find_graph("colours"), ({"images": _picture()}, {"images": _picture() * 0})),
        (
            find_graph("clip-colours", "image"),
            [{"pixel_values": np.full((1, 3, 32, 32), v, np.float32)} for v in (0, 1)],
        ),
    ):
        session = open_session(graph, backend)
        first = session.run(inputs[0])
        kept = {name: array.copy() for name, array in first.items()}
        session.run(inputs[1])
        for name, array in first.items():
            np.testing.assert_array_equal(array, kept[name])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="expected signals of timers, which this system lacks")
def test_a_signal_is_survived_after_another_thread_let_go_of_a_session() -> None:
    script = """
import signal, sys, threading, time
import numpy as np
from fastsam_engine import open_session

held = [open_session(sys.argv[1], backend="openvino")]
held[0].run({held[0].spec.input.name: np.zeros((1, 3, 64, 64), np.float32)})
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
signal.signal(signal.SIGALRM, lambda *_: print("handled", flush=True))
signal.setitimer(signal.ITIMER_REAL, 0.05)
time.sleep(0.5)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(find_graph("colours"))], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "handled\n"
