"""The demo's segmenter in one graph, as it was before it was cut into parts."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "models" / "demo-seg"
