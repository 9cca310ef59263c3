"""Test CudaDevice on a double of CUDA: objects dropped during a capture are freed after it."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import numpy as np
import pytest

from fastsam_engine.errors import GpuError
from support.fake_tensorrt import FakeDevice


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice()


def _in_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def _capture(device: FakeDevice, meanwhile: Callable[[], None]) -> None:
    """Capture a copy between two pieces of memory, while something else happens."""
    given = np.arange(8, dtype=np.uint8)
    with device.using():
        a, b = device.allocate(8), device.allocate(8)
        a.copy_in(given)
        device.synchronise()

        def work() -> None:
            b.copy_from(a.address)
            meanwhile()

        graph = device.capture(work)
        assert len(graph._graph.steps) == 1
        graph.launch()
        found = np.empty(8, np.uint8)
        b.copy_out(found)
        device.synchronise()
    np.testing.assert_array_equal(found, given)


class _Cycle:
    """Goes with the next garbage collection, with what it holds."""

    def __init__(self, held: object) -> None:
        self.held, self.itself = held, self


@pytest.mark.parametrize("where", ["another thread", "the thread that captures", "garbage collection"])
@pytest.mark.parametrize("what", ["memory", "pinned memory", "graph"])
def test_what_is_dropped_during_a_capture_is_freed_after_it(device: FakeDevice, what: str, where: str) -> None:
    held: list[object] = []
    with device.using():
        if what == "graph":
            held.append(device.capture(lambda: None))
        else:
            held.append(device.allocate(100) if what == "memory" else device.allocate_pinned(100))
    seen: list[tuple[int, int, int]] = []

    def drop() -> None:
        if where == "garbage collection":
            held[:] = [_Cycle(held.pop())]
        held.clear()
        gc.collect()
        seen.append((len(device.live), len(device.pinned), device.graphs))

    before = len(device.live), len(device.pinned), device.graphs
    _capture(device, (lambda: _in_a_thread(drop)) if where == "another thread" else drop)
    device.run_queue()
    assert not device.broken
    assert seen == [(before[0] + 2, *before[1:])], "it is there while the capture goes on"
    assert (len(device.live), len(device.pinned), device.graphs) == (0, 0, 0)


def test_memory_is_freed_in_the_order_of_the_stream(device: FakeDevice) -> None:
    given, found = np.arange(4, dtype=np.uint8), np.empty(4, np.uint8)
    with device.using():
        memory = device.allocate(4)
        memory.copy_in(given)
        memory.copy_out(found)
        del memory
        device.synchronise()
    np.testing.assert_array_equal(found, given)
    device.run_queue()
    assert not device.live
    assert not device.broken


def test_what_is_dropped_while_nobody_uses_the_device_is_freed_at_once(device: FakeDevice) -> None:
    other = FakeDevice(stream=6, index=1)
    with device.using():
        held = [device.allocate(4), device.allocate_pinned(4)]
    with other.using():
        _in_a_thread(held.clear)
        assert not device.pinned
        assert FakeDevice.current.device is other.cuda
    assert not device.broken


def test_what_is_dropped_as_a_thread_leaves_is_not_forgotten(device: FakeDevice) -> None:
    """Between the last look of the thread that leaves and its release of the lock."""
    with device.using():
        held = [device.allocate_pinned(4)]
    lock = device._lock
    free = lock._free

    def free_and_drop() -> None:
        free()
        if lock._depth and held:
            _in_a_thread(held.clear)

    lock._free = free_and_drop
    with device.using():
        pass
    assert not held
    assert not device.pinned


def test_the_thread_has_the_gpu_again_that_it_had(device: FakeDevice) -> None:
    other = FakeDevice(stream=6, index=1)
    assert getattr(FakeDevice.current, "device", None) is None
    with other.using():
        held = []
        with device.using():
            assert FakeDevice.current.device is device.cuda
            held.append(device.allocate_pinned(4))
            with other.using():
                assert FakeDevice.current.device is other.cuda
            assert FakeDevice.current.device is device.cuda
        held.clear()
        assert not device.pinned
        assert FakeDevice.current.device is other.cuda
    assert getattr(FakeDevice.current, "device", None) is None


def test_a_driver_that_is_gone_does_not_raise_where_memory_is_dropped(
    device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    with device.using():
        held = [device.allocate(4)]

    def gone(index: int) -> None:
        raise RuntimeError("no driver")

    monkeypatch.setattr(device.cuda.core, "Device", gone)
    held.clear()  # a raise here would be reported as unraisable, which fails the test
    with pytest.raises(RuntimeError, match="no driver"), device.using():
        pass
    monkeypatch.undo()
    device.run_queue()
    assert not device.live


def test_waiting_and_allocating_break_a_capture_off_and_the_stream_goes_on(device: FakeDevice) -> None:
    for work in (device.synchronise, lambda: device.allocate(4), lambda: device.allocate_pinned(4)):
        with device.using(), pytest.raises(GpuError, match="CUDA_ERROR_STREAM_CAPTURE"):
            device.capture(work)
        assert not device.is_capturing
        device.run_queue()
    assert len(device.broken) == 3


def test_threads_that_drop_while_others_capture(device: FakeDevice) -> None:
    """All at once, for the order that nobody thought of."""
    failed: list[BaseException] = []
    done = threading.Event()

    def take_and_drop() -> None:
        while not done.is_set():
            with device.using():
                held = [device.allocate(16), device.allocate_pinned(16)]
            held.clear()

    def capture() -> None:
        try:
            for _ in range(60):
                _capture(device, lambda: None)
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's thread
            failed.append(error)

    droppers = [threading.Thread(target=take_and_drop) for _ in range(3)]
    capturing = [threading.Thread(target=capture) for _ in range(2)]
    for thread in (*droppers, *capturing):
        thread.start()
    for thread in capturing:
        thread.join()
    done.set()
    for thread in droppers:
        thread.join()
    device.run_queue()
    assert not failed
    assert not device.broken
    assert not device.live
    assert not device.pinned
