"""Fixtures of the engine's tests."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def bound_inputs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Each input that ONNX Runtime binds: its name and address."""
    onnxruntime = pytest.importorskip("onnxruntime")
    bound: list[tuple[str, int]] = []
    real = onnxruntime.IOBinding.bind_ortvalue_input

    def bind(self: Any, name: str, value: Any) -> None:
        bound.append((name, value.data_ptr()))
        real(self, name, value)

    monkeypatch.setattr(onnxruntime.IOBinding, "bind_ortvalue_input", bind)
    return bound
