"""Test that Ctrl-C, SIGTERM and SIGHUP stop a build, keep no file, and print one line."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from io import BufferedWriter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_engine import find_graph, read_spec
from fastsam_engine.backend_choice import choose_builder
from fastsam_engine.concurrency.interruption import interruptible
from fastsam_engine.errors import BuildInterruptedError
from fastsam_engine.plans.build_request import BuildOptions, BuildRequest
from fastsam_engine.plans.engine_cache import EngineCache
from fastsam_engine.store import atomic_files
from fastsam_trt.cli.main import main
from support import colour_models
from support.tensorrt_machine import Machine
from support.waiting import signal_after

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")

_SAID = "fastsam-trt: interrupted: the build of {} was stopped, and nothing of it is kept\n"
_STEPS = 3000  # of ten ms: a build that is not stopped outlasts the test
_CHILD = """
import sys
from fastsam_engine.backends.tensorrt import plan_builder
from fastsam_trt.cli.main import entry
report_step, told = plan_builder._Steps.report_step, []
def tell(self, *step):
    if not told:
        told.append(print("building", flush=True))
    return report_step(self, *step)
plan_builder._Steps.report_step = tell
sys.argv = ["fastsam-trt", *sys.argv[1:]]
entry()
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """TensorRT on one simulated GPU, where a build takes half a minute."""
    made = Machine(monkeypatch, "tensorrt")
    made.api.steps = _STEPS
    made.api.at_step = lambda _step: time.sleep(0.01)
    return made


def _interrupt_at(machine: Machine, *numbers: int, step: int = 3) -> None:
    """Send signals in the middle of a build."""

    def at_step(found: int) -> None:
        if found == step:
            for number in numbers:
                signal.raise_signal(number)
        time.sleep(0.01)

    machine.api.at_step = at_step


def _assert_no_file_is_kept() -> None:
    folder = EngineCache().folder
    assert not [each for each in folder.rglob("*") if each.is_file() and each.suffix != ".lock"]
    for lock in folder.rglob("*.lock"):
        with EngineCache().building(lock.with_suffix(".plan"), lambda: pytest.fail("the lock is held")):
            pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("arguments", [["build", "colours"], ["run", "--video", "photo.png", "--model", "colours"]])
def test_a_signal_stops_a_build(
    machine: Machine, capfd: pytest.CaptureFixture[str], photo: Path, number: int, arguments: list[str]
) -> None:
    _interrupt_at(machine, number)
    assert main([str(photo) if each == "photo.png" else each for each in arguments]) == 128 + number
    told = capfd.readouterr().err
    assert [line for line in told.splitlines() if "building its plan" not in line] == [
        _SAID.format("colours.onnx").strip()
    ]
    _assert_no_file_is_kept()
    machine.api.at_step, machine.api.steps = (lambda _step: None), 2
    assert machine.open().run({"images": np.zeros((1, 3, 96, 128), np.float32)})


def _builds() -> list[threading.Thread]:
    """The threads that are building."""
    return [thread for thread in threading.enumerate() if thread.name == "fastsam-trt build"]


def test_a_library_call_raises_a_keyboard_interrupt(machine: Machine) -> None:
    _interrupt_at(machine, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=r"the build of colours\.onnx was stopped"):
        machine.open()
    _assert_no_file_is_kept()


def test_an_error_in_progress_stops_the_build_and_is_raised(machine: Machine) -> None:
    graph = find_graph("colours")
    told: list[str] = []

    def progress(phase: str, _done: int, _of: int) -> None:
        told.append(phase)
        raise LookupError("the caller's own")

    def build() -> None:
        with pytest.raises(LookupError, match="the caller's own"):
            choose_builder("tensorrt").build(BuildRequest(graph, read_spec(graph)), "auto", progress)

    build()
    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    assert told == ["Building"] * 2
    _assert_no_file_is_kept()


def test_a_build_on_another_thread_runs_on_it(machine: Machine) -> None:
    machine.api.steps, found = 2, []
    machine.api.at_step = lambda _step: found.append(threading.current_thread())
    thread = threading.Thread(target=machine.open)
    thread.start()
    thread.join()
    assert set(found) == {thread}


def test_a_signal_while_parsing_stops_before_the_build(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    from support.fake_builder import FakeParser

    parse = FakeParser.parse_from_file

    def interrupted(parser: FakeParser, path: str) -> bool:
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.3)
        return parse(parser, path)

    monkeypatch.setattr(FakeParser, "parse_from_file", interrupted)
    with pytest.raises(BuildInterruptedError):
        machine.build()
    assert not machine.api.builds
    _assert_no_file_is_kept()


def test_a_signal_while_the_plan_is_compared_keeps_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.api.steps = 2

    def interrupted(*_: object) -> dict[str, float]:
        signal.raise_signal(signal.SIGINT)
        return {}

    monkeypatch.setattr("fastsam_engine.backends.tensorrt.backend.check_accuracy", interrupted)
    with pytest.raises(BuildInterruptedError):
        machine.build()
    _assert_no_file_is_kept()


def test_a_signal_while_the_plan_is_written_keeps_no_part_of_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.api.steps = 2

    class Interrupted(BufferedWriter):
        def write(self, data: Any, /) -> int:
            signal.raise_signal(signal.SIGINT)
            return super().write(data)

    monkeypatch.setattr(atomic_files, "BufferedWriter", Interrupted)
    with pytest.raises(BuildInterruptedError):
        machine.build()
    _assert_no_file_is_kept()


def test_a_signal_ends_the_wait_for_another_process(machine: Machine) -> None:
    machine.api.steps = 2
    report = machine.build()
    assert report.path is not None
    graph = find_graph("colours")
    request = BuildRequest(graph, read_spec(graph), again=True)
    told: list[str] = []

    def interrupt(phase: str, _done: int, _of: int) -> None:
        told.append(phase)
        threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,)).start()

    held, let_go = threading.Event(), threading.Event()

    def hold(path: Path) -> None:
        with EngineCache().building(path):
            held.set()
            let_go.wait(60)

    holder = threading.Thread(target=hold, args=(report.path,))
    holder.start()
    held.wait()
    try:
        with pytest.raises(BuildInterruptedError):
            choose_builder("tensorrt").build(request, "auto", interrupt)
        assert not let_go.is_set()
    finally:
        let_go.set()
        holder.join()
    assert told == ["waiting for another build"]


def test_a_second_signal_ends_the_process_if_the_builder_hangs(machine: Machine) -> None:
    go_on = threading.Event()

    def at_step(_step: int) -> None:
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.5)
        signal.raise_signal(signal.SIGINT)
        go_on.wait(60)

    machine.api.at_step = at_step
    try:
        with pytest.raises(BuildInterruptedError):
            machine.build()
        assert _builds()
    finally:
        go_on.set()
        while _builds():
            time.sleep(0.01)
    _assert_no_file_is_kept()


def test_other_exceptions_of_signal_handlers_are_raised_unchanged() -> None:
    def expire() -> None:
        raise TimeoutError("the caller's deadline")

    stopped: list[bool] = []
    with signal_after(0.1, expire), pytest.raises(TimeoutError, match="the caller's deadline"):
        interruptible(lambda stop: stopped.append(stop.wait(60)))
    assert stopped == [True]


def test_an_interrupted_compilation_of_openvino_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    openvino = pytest.importorskip("openvino")
    compile_model = openvino.Core.compile_model

    def interrupted(core: object, *given: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return compile_model(core, *given)

    monkeypatch.setattr(openvino.Core, "compile_model", interrupted)
    assert main(["build", "colours", "--backend", "openvino"]) == 143
    assert capfd.readouterr().err == _SAID.format("colours.onnx")
    assert not list(EngineCache().folder.rglob("*.compiled"))


def _slow_graph(path: Path) -> Path:
    """A graph whose TensorRT-RTX build takes several seconds: many convolutions of different shapes."""
    import onnx

    rng = np.random.default_rng(0)
    nodes, weights, channels = [], [], 3
    for index in range(120):
        out = 16 + index
        weights.append(
            onnx.numpy_helper.from_array(rng.normal(size=(out, channels, 3, 3)).astype(np.float32), f"w{index}")
        )
        nodes.append(
            onnx.helper.make_node("Conv", [f"x{index}", f"w{index}"], [f"c{index}"], pads=[1, 1, 1, 1], name=f"{index}")
        )
        nodes.append(onnx.helper.make_node("Relu", [f"c{index}"], [f"x{index + 1}"]))
        channels = out
    spec = colour_models.segmenter_spec()
    nodes[0].input[0], nodes[-1].output[0] = spec.input_names[0], spec.outputs[0].name
    value = onnx.helper.make_tensor_value_info
    axes = [value(spec.input_names[0], onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])]
    made = [value(spec.outputs[0].name, onnx.TensorProto.FLOAT, ["n", channels, "h", "w"])]
    graph = onnx.helper.make_graph(nodes, "slow", axes, made, weights)
    from dataclasses import replace

    spec = replace(spec, outputs=(replace(spec.outputs[0], layout=f"N {channels} H W"),))
    return colour_models.save(graph, path, spec)


def test_the_real_builder_raises_what_progress_raises(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'fastsam-trt[tensorrt-rtx]'")
    graph, told = find_graph("colours"), []

    def progress(phase: str, _done: int, _of: int) -> None:
        told.append(phase)
        raise LookupError("the caller's own")

    request = BuildRequest(graph, read_spec(graph), options=BuildOptions(targets=("sm89",)))
    with pytest.raises(LookupError, match="the caller's own"):
        choose_builder("tensorrt-rtx").build(request, "auto", progress)
    assert len(told) == 1
    assert capfd.readouterr().err == ""
    _assert_no_file_is_kept()


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="pip install 'fastsam-trt[tensorrt-rtx]'")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_real_builder_stops(tmp_path: Path, number: int) -> None:
    graph = _slow_graph(tmp_path / "slow.onnx")
    command = [sys.executable, "-c", _CHILD, "build", str(graph), "--target", "sm75", "sm80", "sm86", "sm89", "sm120"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "building\n"
        process.send_signal(number)
        told = process.communicate()
    assert (process.returncode, *told) == (128 + number, "", _SAID.format("slow.onnx"))
    _assert_no_file_is_kept()
