"""Test that TensorRT's log messages appear in the right error, on one line."""

from __future__ import annotations

import gc
import logging
import threading
import weakref

import pytest

from fastsam_engine.backends.tensorrt.error_log import error_log
from support.fake_tensorrt import FakeDevice, FakeLogger, FakeTensorRt


@pytest.fixture
def api() -> FakeTensorRt:
    return FakeTensorRt(FakeDevice())


def test_the_first_error_is_reported_on_one_line(api: FakeTensorRt) -> None:
    log = error_log(api)
    api.use(log.logger)
    with log.listening() as errors:
        assert str(errors) == "TensorRT gave no reason"
        api.say(FakeLogger.WARNING, "a warning")
        assert str(errors) == "TensorRT gave no reason"
        api.fail("What failed\n  and  why ")
    api.fail("Of later")
    assert str(errors) == "What failed and why"
    with log.listening() as errors:
        api.say(FakeLogger.INTERNAL_ERROR, "x" * 1000)
    assert len(str(errors)) == 400
    assert str(errors).endswith("x...")


def test_errors_go_to_the_thread_that_they_are_of(api: FakeTensorRt) -> None:
    log = error_log(api)
    api.use(log.logger)
    meet = threading.Barrier(3)
    told: dict[str, str] = {}

    def fail(name: str) -> None:
        with log.listening() as errors:
            meet.wait()
            if name != "silent":
                api.fail(f"error of {name}")
            meet.wait()
        told[name] = str(errors)

    threads = [threading.Thread(target=fail, args=(name,)) for name in ("a", "b", "silent")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (told["a"], told["b"]) == ("error of a", "error of b")
    assert told["silent"] in ("error of a", "error of b"), "TensorRT has threads of its own"


def test_errors_that_nobody_waits_for_are_logged(api: FakeTensorRt, caplog: pytest.LogCaptureFixture) -> None:
    log = error_log(api)
    api.use(log.logger)
    with caplog.at_level(logging.WARNING, "fastsam_engine.backends.tensorrt"):
        with log.listening():
            api.say(FakeLogger.ERROR, "heard")
        assert not caplog.records
        api.say(FakeLogger.ERROR, "unheard")
    assert [record.getMessage() for record in caplog.records] == ["TensorRT: unheard"]


def test_a_module_has_one_logger_and_lets_go(api: FakeTensorRt) -> None:
    assert error_log(api) is error_log(api)
    assert error_log(api) is not error_log(FakeTensorRt(FakeDevice()))
    module = weakref.ref(FakeTensorRt(FakeDevice()))
    gc.collect()
    assert module() is None


def test_the_real_logger_takes_the_real_errors() -> None:
    real = pytest.importorskip("tensorrt_rtx")
    log = error_log(real)
    runtime = real.Runtime(log.logger)
    with log.listening() as errors:
        assert runtime.deserialize_cuda_engine(b"nothing of the kind" * 50) is None
    assert str(errors).startswith("IRuntime::deserializeCudaEngine: Error Code 1: Serialization")
    assert "\n" not in str(errors)
