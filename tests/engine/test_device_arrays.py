"""Test arrays that stay on the device, and the input checks of graphs with several inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_engine.device_array import Array, DeviceArray
from fastsam_engine.errors import InputMismatchError
from fastsam_engine.session import Session
from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_engine.spec.spec_document import parse_spec


class _Adder(Session):
    """Adds a number to each row, in numpy."""

    def __init__(self) -> None:
        taken = ArraysInput(("rows", "to"), ("N 2", "N"), ("float32", "int64"), {"N": (1, 2, 8)})
        outputs = Output("sum", "sum", "N 2"), Output("twice", "twice", "N 2")
        spec = ModelSpec("adder", "none", "decode", taken, outputs)
        assert parse_spec(spec.to_json()) == spec
        super().__init__(Path("adder"), spec, "none", "cpu", "fp32")

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        total = (inputs["rows"] + inputs["to"][:, None]).astype(np.float32)
        return {"sum": total, "twice": total * 2}


class _Elsewhere(DeviceArray):
    memory, shape, dtype = "the moon", (3, 2), np.dtype(np.float32)

    def to_host(self) -> Array:
        raise AssertionError

    def copy_owned(self) -> DeviceArray:
        raise AssertionError


def test_an_output_that_stays_is_the_next_input() -> None:
    session = _Adder()
    rows = session.upload(np.zeros((3, 2), np.float32))
    fetched, kept = session.run_kept({"rows": rows, "to": np.arange(3)}, ["sum"])
    assert fetched.keys() == {"twice"}
    assert kept.keys() == {"sum"}
    assert (kept["sum"].shape, kept["sum"].memory) == ((3, 2), session.memory)
    again = session.run({"rows": kept["sum"].to_host(), "to": np.arange(3)})
    np.testing.assert_array_equal(again["sum"], [[0, 0], [2, 2], [4, 4]])
    fetched, _ = session.run_kept({"rows": kept["sum"], "to": np.arange(3)}, [])
    np.testing.assert_array_equal(fetched["sum"], again["sum"])


@pytest.mark.parametrize(
    ("inputs", "keep", "found"),
    [
        ({"rows": np.zeros((3, 2), np.float32), "to": np.arange(4)}, (), r"'to': expected shape \(3 \(N\)\), .*4"),
        ({"rows": np.zeros((3, 2), np.float32), "to": np.ones(3)}, (), "'to': expected int64, found float64"),
        ({"rows": np.zeros((3, 3), np.float32), "to": np.arange(3)}, (), r"'rows': expected shape \(3 \(N\), 2\)"),
        ({"rows": np.zeros((3, 2), np.float32)}, (), "the inputs rows, to"),
        ({"rows": np.zeros((3, 2), np.float32), "to": np.arange(3)}, ["all"], "'all'"),
        ({"rows": _Elsewhere(), "to": np.arange(3)}, (), "expected an array in host, found one in the moon"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(inputs: dict[str, Any], keep: Any, found: str) -> None:
    with pytest.raises(InputMismatchError, match=found):
        _Adder().run_kept(inputs, keep)
