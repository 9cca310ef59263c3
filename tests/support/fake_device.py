"""Sessions as on a device, on the processor: every transfer is seen, and the next run overwrites kept arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pytest

from fastsam_engine.device_array import Array, DeviceArray
from fastsam_engine.session import Session


def as_on_device(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Open the runtime's sessions as on a device from now on. Returns the log of their transfers."""
    from fastsam_engine import open_session

    log: list[str] = []

    def open_fake(*args: Any, **kwargs: Any) -> Session:
        return FakeDeviceSession(open_session(*args, **kwargs), log)

    for module in ("segmentation.segmenter", "clip.model", "frames.helper_sessions"):
        monkeypatch.setattr(f"fastsam_trt.{module}.open_session", open_fake)
    return log


class FakeDeviceArray(DeviceArray):
    """An array that a `FakeDeviceSession` keeps; the next run of that session overwrites it."""

    def __init__(self, array: Array, log: list[str]) -> None:
        self.memory, self.shape, self.dtype = "far", array.shape, array.dtype
        self._array, self._log = array, log

    def to_host(self) -> Array:
        self._log.append(f"fetched {self.shape}")
        return self._array.copy()

    def copy_owned(self) -> DeviceArray:
        self._log.append(f"owned {self.shape}")
        return FakeDeviceArray(self._array.copy(), self._log)

    def overwrite(self) -> None:
        self._array[...] = 0


class FakeDeviceSession(Session):
    """A session as on a device: its arrays are wrapped, and the next run overwrites them."""

    def __init__(self, session: Session, log: list[str]) -> None:
        super().__init__(session.path, session.spec, session.backend, session.device, session.precision)
        self._session, self._log = session, log
        self._kept: list[FakeDeviceArray] = []

    @property
    def memory(self) -> str:
        return "far"

    def upload(self, array: Array) -> DeviceArray:
        self._log.append(f"uploaded {array.shape}")
        return FakeDeviceArray(array.copy(), self._log)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._run_kept(inputs, ())[0]

    def _run_kept(
        self, inputs: Mapping[str, Array | DeviceArray], keep: Collection[str]
    ) -> tuple[dict[str, Array], dict[str, DeviceArray]]:
        given = {name: each._array if isinstance(each, FakeDeviceArray) else each for name, each in inputs.items()}
        self._log += [f"sent {each.shape}" for each in inputs.values() if not isinstance(each, DeviceArray)]
        fetched, kept = self._session.run_kept({name: np.array(each) for name, each in given.items()}, keep)
        for each in self._kept:
            each.overwrite()
        self._kept = [FakeDeviceArray(each.to_host().copy(), self._log) for each in kept.values()]
        self._log += [f"fetched {each.shape}" for each in fetched.values()]
        return fetched, dict(zip(kept, self._kept, strict=True))
