"""Describe what a cell measures, before any model is open. Child processes receive it as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

from fastsam_bench.cases.frames import DrawnFrames, Frames, VideoFrames
from fastsam_engine.spec.json_reader import read_json
from fastsam_engine.store.home_folder import expand_user

Scenario = Literal["single", "offline", "live"]


@dataclass(frozen=True, slots=True)
class ModelCase:
    """A model, and the requested engine.

    Attributes:
        model: Name, folder or file.
        clip: Name or folder of the CLIP model; None: no cell has crops.
        backend, device, precision: See `fastsam_engine.open_session`.
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
        model: The model.
        batch: Frames per call.
        crops: CLIP crops per frame.
        size: (height, width) of the frames, px.
        video: Video file with the frames; None: drawn frames.
    """

    scenario: Scenario
    model: ModelCase
    batch: int
    crops: int
    size: tuple[int, int]
    video: str | None = None

    def frames(self) -> Frames:
        """The frames to measure on."""
        return DrawnFrames(self.size) if self.video is None else VideoFrames(expand_user(self.video))

    def to_json(self) -> str:
        """The case as JSON, for `from_json` in another process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CellCase:
        """Read the output of `to_json`."""
        case: CellCase = read_json(cls, json.loads(text), "case")
        return case
