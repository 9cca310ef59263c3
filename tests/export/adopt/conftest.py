"""Fixtures: adopt a folder of a hub in one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastsam_export.adopt.adopted_from import AdoptedFrom
from fastsam_export.family import Exported

SOURCE = AdoptedFrom("Org/model", "0123abcd", "onnx/model.onnx", "http://hub.example/Org/model", "Apache-2.0")

Adopt = Callable[..., list[Exported]]


@pytest.fixture
def adopt(tmp_path: Path) -> Adopt:
    """Adopts a folder as `NAME` into a folder of that name."""
    from fastsam_export.adopt.adopter import adopt as run

    def call(folder: Path, name: str = "adopted", **options: Any) -> list[Exported]:
        return run(folder, name=name, out=tmp_path / "models" / name, **{"source": SOURCE, **options})

    return call
