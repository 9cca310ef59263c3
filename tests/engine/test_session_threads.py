"""Test sessions shared by threads: correct results, one compilation per shape, and closing."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_engine import Session, find_graph, open_session, read_spec
from fastsam_engine.backends.onnxruntime.backend import open_bound
from fastsam_engine.backends.onnxruntime.devices import Device
from fastsam_engine.cpu_count import CpuCount
from fastsam_engine.device_array import Array
from fastsam_engine.errors import BackendUnavailableError, ClosedError, ForkedError, ThreadsError
from fastsam_engine.session import OpenOptions
from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from support.waiting import until

_THREADS, _RUNS = 8, 25
_KINDS = ("onnxruntime", "openvino fp32", "openvino bf16", "bound")


def _open(kind: str, name: str, part: str = "") -> Session:
    graph = find_graph(name, part) if part else find_graph(name)
    if kind == "bound":
        pytest.importorskip("onnxruntime")
        return open_bound(graph, read_spec(graph), Device("cpu"), "fp32", OpenOptions())
    backend, _, precision = kind.partition(" ")
    pytest.importorskip(backend)
    try:
        return open_session(graph, backend, precision=precision or "auto")
    except BackendUnavailableError as error:
        pytest.skip(str(error))


def _inputs(sizes: list[tuple[int, int, int]]) -> list[Array]:
    rng = np.random.default_rng(7)
    return [rng.random((n, 3, h, w), np.float32) for n, h, w in sizes]


def _all_at_once(session: Session, inputs: list[Array]) -> list[list[dict[str, Array]]]:
    """The answers of threads that each run their own input again and again, all beginning together."""
    name, begin = session.spec.input_names[0], threading.Barrier(len(inputs))

    def work(array: Array) -> list[dict[str, Array]]:
        begin.wait()
        return [session.run({name: array}) for _ in range(_RUNS)]

    with ThreadPoolExecutor(len(inputs)) as pool:
        return list(pool.map(work, inputs))


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize(
    ("model", "part", "sizes"),
    [
        ("colours", "", [(1, 64, 64), (1, 64, 96), (1, 64, 64), (2, 64, 64), (3, 32, 64), (1, 32, 64), (2, 96, 32)]),
        ("clip-colours", "image", [(n, 32, 32) for n in (1, 1, 2, 3, 3, 4, 1)]),
    ],
)
def test_threads_get_their_own_answers(kind: str, model: str, part: str, sizes: list[tuple[int, int, int]]) -> None:
    inputs = _inputs([*sizes, sizes[0]])
    assert len(inputs) == _THREADS
    serial = _open(kind, model, part)
    expected = [serial.run({serial.spec.input_names[0]: each}) for each in inputs]
    for answers, right in zip(_all_at_once(_open(kind, model, part), inputs), expected, strict=True):
        for answer in answers:
            assert answer.keys() == right.keys()
            assert all((answer[name] == array).all() for name, array in right.items())


class _Meeting(Session):
    """Runs that each wait for another one, for a while."""

    patience_s = 0.2  # no other one comes

    def __init__(self) -> None:
        taken = ArraysInput(("x",), ("N",), ("float32",), {"N": (1, 1, 8)})
        super().__init__(Path("x"), ModelSpec("x", "none", "decode", taken, (Output("y", "y", "N"),)), "x", "x", "fp32")
        self.met = threading.Barrier(2)
        self.released = 0

    def _run(self, inputs: dict[str, Array]) -> dict[str, Array]:  # type: ignore[override]
        try:
            self.met.wait(self.patience_s)
        except threading.BrokenBarrierError:
            return {"y": np.zeros(1)}
        return {"y": np.ones(1)}

    def _release(self) -> None:
        self.released += 1


class _Parallel(_Meeting):
    parallel = True
    patience_s = 60


_ONE = {"x": np.zeros(1, np.float32)}


@pytest.mark.parametrize(("kind", "together"), [(_Meeting, False), (_Parallel, True)])
def test_runs_go_side_by_side_where_the_backend_lets_them(kind: type[_Meeting], *, together: bool) -> None:
    session = kind()
    with ThreadPoolExecutor(2) as pool:
        met = [bool(future.result()["y"].all()) for future in [pool.submit(session.run, _ONE) for _ in range(2)]]
    assert met == [together] * 2


@contextmanager
def _held(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> Iterator[tuple[threading.Event, list[object]]]:
    """Calls of a function wait until the event is set; they are counted as they begin."""
    real, go, begun = getattr(owner, name), threading.Event(), list[object]()

    def wait(*given: object) -> object:
        begun.append(given)
        assert go.wait(60)
        return real(*given)

    monkeypatch.setattr(owner, name, wait)
    try:
        yield go, begun
    finally:
        go.set()


@pytest.mark.parametrize("kind", ["openvino fp32", "bound"])
def test_a_shape_is_compiled_once_and_others_run_meanwhile(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = _open(kind, "colours")
    name = session.spec.input_names[0]
    ready, new = _inputs([(1, 64, 64), (1, 96, 64)])
    session.run({name: ready})
    owner, method = (session, "_compile") if kind == "openvino fp32" else (session, "_open")
    with _held(monkeypatch, owner, method) as (go, begun), ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(session.run, {name: new}) for _ in range(3)]
        assert until(lambda: bool(begun))
        assert pool.submit(session.run, {name: ready}).result(60)
        assert not any(each.done() for each in waiting)
        go.set()
        answers = [each.result() for each in waiting]
    assert len(begun) == 1
    assert all((each[key] == array).all() for each in answers for key, array in answers[0].items())


@pytest.mark.parametrize("kind", ["openvino fp32", "bound"])
def test_a_shape_that_failed_is_tried_again(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = _open(kind, "colours")
    (picture,) = _inputs([(1, 96, 64)])

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(session, "_compile" if kind == "openvino fp32" else "_open", fail)
        for _ in range(2):
            with pytest.raises(MemoryError):
                session.run({session.spec.input_names[0]: picture})
    assert session.run({session.spec.input_names[0]: picture})


@pytest.mark.parametrize("kind", ["openvino fp32", "bound"])
def test_sizes_are_kept_with_all_their_batches_and_reported_once(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    session = _open(kind, "colours")
    made: list[object] = []
    owner, method = (session, "_compile") if kind == "openvino fp32" else (session, "_open")
    real = getattr(owner, method)
    monkeypatch.setattr(owner, method, lambda *given: (made.append(given), real(*given))[1])
    pictures = _inputs([(n, 32, 32 * width) for width in range(1, 11) for n in (1, 2, 3)])
    caplog.clear()  # of what opening said
    with caplog.at_level(logging.INFO, "fastsam_engine"):
        for _ in range(2):
            for each in pictures:
                session.run({session.spec.input_names[0]: each})
        first = len(made)
        assert first == (20 if kind == "openvino fp32" else 30)  # OpenVINO: one graph for all batches above 1
        assert len(caplog.messages) == first
        for width in range(11, 14):
            session.run({session.spec.input_names[0]: np.zeros((1, 3, 32, 32 * width), np.float32)})
        session.run({session.spec.input_names[0]: pictures[0]})  # it fell out
    assert len(made) == first + 4
    where = "openvino" if kind == "openvino fp32" else "onnxruntime cpu"
    assert f"compiling colours for 32 x 96 on {where}, done once" in caplog.messages
    assert len(caplog.messages) == len(set(caplog.messages)) == first + 3


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize(("model", "part"), [("colours", ""), ("clip-colours", "image")])
def test_a_closed_session_says_so(kind: str, model: str, part: str) -> None:
    (picture,) = _inputs([(1, 32, 32)])
    with _open(kind, model, part) as session:
        name = session.spec.input_names[0]
        kept = session.run({name: picture})
        before = {key: array.copy() for key, array in kept.items()}
    session.close()
    calls: list[Callable[[], object]] = [
        lambda: session.run({name: picture}),
        lambda: session.run_kept({name: picture}, []),
        lambda: session.upload(picture),
        lambda: session.run({}),
    ]
    for call in calls:
        expected = rf"expected the session of {model}\S* to be open, found it closed; open the model again"
        with pytest.raises(ClosedError, match=expected):
            call()
    assert all((kept[key] == array).all() for key, array in before.items())


def test_close_waits_for_runs_and_releases_once() -> None:
    session = _Parallel()
    session.met = threading.Barrier(2)
    with ThreadPoolExecutor(4) as pool:
        running = pool.submit(session.run, _ONE)
        assert until(lambda: session.met.n_waiting == 1)
        closing = [pool.submit(session.close) for _ in range(2)]
        assert until(lambda: _is_closed(session))
        assert not session.released
        assert not any(each.done() for each in closing)
        session.met.wait(60)
        assert running.result()["y"].all()
        for each in closing:
            each.result(60)
    assert session.released == 1
    session.close()
    assert session.released == 1


def _is_closed(session: Session) -> bool:
    try:
        session.upload(np.zeros(1))
    except ClosedError:
        return True
    return False


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, 4096])
def test_threads_that_cannot_be_had_are_refused(backend: str, threads: int) -> None:
    with pytest.raises(ThreadsError, match=r"threads: expected a whole number from 1 to \d+ "):
        open_session(find_graph("colours"), backend, threads=threads)


def test_threads_are_heeded(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    if backend == "openvino":
        import openvino

        compile_model = openvino.Core.compile_model

        def note(core: Any, *given: Any) -> Any:
            compiled = compile_model(core, *given)
            seen.append(str(compiled.get_property("INFERENCE_NUM_THREADS")))
            return compiled

        monkeypatch.setattr(openvino.Core, "compile_model", note)
    else:
        import onnxruntime

        create = onnxruntime.InferenceSession

        def opened(path: str, options: onnxruntime.SessionOptions, **more: object) -> onnxruntime.InferenceSession:
            stops = options.get_session_config_entry("session.force_spinning_stop")
            seen.extend((str(options.intra_op_num_threads), stops))
            return create(path, options, **more)

        monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    (picture,) = _inputs([(1, 32, 32)])
    for spin in (False, True):
        session = open_session(find_graph("colours"), backend, threads=1, spin=spin)
        session.run({session.spec.input_names[0]: picture})
    assert seen == (["1", "1"] if backend == "openvino" else ["1", "1", "1", "0"])


def test_what_was_built_for_other_threads_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("openvino")
    from fastsam_trt.cli.main import main

    monkeypatch.setattr(CpuCount, "of_process", lambda: CpuCount(2, 2, 2, None))
    compiled: list[object] = []
    compile_model = openvino.Core.compile_model
    monkeypatch.setattr(
        openvino.Core, "compile_model", lambda *given: (compiled.append(given), compile_model(*given))[1]
    )
    assert main(["build", "colours", "--backend", "openvino", "--threads", "1"]) == 0
    built = len(compiled)
    for threads, more in ((1, 0), (2, 1)):
        session = open_session(find_graph("colours"), "openvino", threads=threads, frames=True)
        session.run({session.spec.input_names[0]: np.zeros((1, 256, 256, 3), np.uint8)})
        assert len(compiled) == built + more
    assert main(["build", "colours", "--backend", "openvino", "--threads", "0"]) == 2


_FIRST_USE = """
import faulthandler, sys, threading

faulthandler.dump_traceback_later(60, exit=True)
import numpy as np
from fastsam_engine import open_session

sys.setswitchinterval(1e-6)
together, answers = threading.Barrier(4), []

def work():
    together.wait()
    session = open_session(sys.argv[1], sys.argv[2], threads=1)
    answers.append(session.run({session.spec.input_names[0]: np.zeros((1, 3, 64, 64), np.float32)}))

threads = [threading.Thread(target=work) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(len(answers))
"""


def test_the_first_use_of_a_backend_may_be_on_many_threads(backend: str) -> None:
    command = [sys.executable, "-c", _FIRST_USE, str(find_graph("colours")), backend]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "4\n"), ended.stderr


@pytest.mark.parametrize(("cores", "threads", "pinned"), [(2, 2, "True"), (4, 2, "False"), (2, 1, "False")])
def test_sessions_with_a_part_of_the_cpus_are_not_pinned_to_the_same(
    cores: int, threads: int, pinned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = pytest.importorskip("openvino")
    monkeypatch.setattr(CpuCount, "of_process", lambda: CpuCount(cores, cores, cores, None))
    seen: list[str] = []
    compile_model = openvino.Core.compile_model

    def note(core: Any, *given: Any) -> Any:
        seen.append(str(given[2]["ENABLE_CPU_PINNING"] == "YES"))
        return compile_model(core, *given)

    monkeypatch.setattr(openvino.Core, "compile_model", note)
    (picture,) = _inputs([(1, 32, 32)])
    session = open_session(find_graph("colours"), "openvino", threads=threads)
    session.run({session.spec.input_names[0]: picture})
    assert seen == [pinned]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("kind", ["openvino fp32", "onnxruntime"])
def test_a_fork_is_refused_at_once_and_leaves_the_session_alone(kind: str) -> None:
    """Whatever lock a thread held when the process forked is held in the child for ever."""
    session = _open(kind, "colours")
    (picture,) = _inputs([(1, 96, 64)])
    given = {session.spec.input_names[0]: picture}
    before = session.run(given)
    with session._under_way.one(), session._under_way._changed:
        child = os.fork()
        if not child:
            signal.alarm(10)  # ends a child that hangs
            told = 1
            try:
                session.run(given)
            except ForkedError:
                session.close()
                told = 0
            os._exit(told)
    assert os.waitpid(child, 0)[1] == 0
    for name, array in session.run(given).items():
        np.testing.assert_array_equal(array, before[name])
