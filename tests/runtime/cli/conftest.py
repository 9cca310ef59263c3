"""Videos that several tests of the command read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from support.colour_models import scene


@pytest.fixture(scope="session")
def long_video(tmp_path_factory: pytest.TempPathFactory, write_video: Callable[[Path, list[np.ndarray]], Path]) -> Path:
    """A video that is longer than any of the runs; tests only read it."""
    return write_video(tmp_path_factory.mktemp("videos") / "long.avi", [scene(("red", 1, 1))] * 3000)
