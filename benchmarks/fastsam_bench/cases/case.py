"""Case: what a cell measures, before any model is open; it travels to child processes as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastsam_bench.cases.frames import DrawnFrames, Frames, VideoFrames
from fastsam_engine.spec.json_reader import read_json

Scenario = Literal["single", "offline", "live"]


@dataclass(frozen=True, slots=True)
class ModelCase:
    """A model and what runs it.

    Attributes:
        model: Name, folder or file.
        clip: Name or folder of the CLIP model; None: no cell of it asks for crops.
        backend, device, precision: As asked for; see `fastsam_engine.open_session`.
    """

    model: str
    clip: str | None
    backend: str
    device: str
    precision: str


@dataclass(frozen=True, slots=True)
class CellCase:
    """A cell to measure.

    Attributes:
        scenario: `single`, `offline` or `live`.
        model: What runs.
        batch: Frames a call.
        crops: CLIP crops a frame.
        size: (height, width) of drawn frames, px; of a video its own.
        video: A file to take frames from instead.
    """

    scenario: Scenario
    model: ModelCase
    batch: int
    crops: int
    size: tuple[int, int]
    video: str | None = None

    def frames(self) -> Frames:
        """The frames that it is measured on."""
        return DrawnFrames(self.size) if self.video is None else VideoFrames(Path(self.video))

    def to_json(self) -> str:
        """For `from_json`, in another process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CellCase:
        """What `to_json` wrote."""
        case: CellCase = read_json(cls, json.loads(text), "case")
        return case
