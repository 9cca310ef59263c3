"""Adopt CLIP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastsam_engine.session import Array
from fastsam_export.adopt.image_processor import ProcessorDefaults
from fastsam_export.adopt.logit_constants import LogitConstants
from fastsam_export.adopt.ready_family import register
from fastsam_export.adopt.two_towers import TwoTowers

_LARGEST_SCALE = 100.0  # training clips it there (arXiv 2103.00020, section 2.5), and OpenAI's models all reached it
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@register
class ReadyClip(TwoTowers):
    """CLIP in the layout of transformers.js."""

    description = "CLIP"
    family = "clip"
    processor = ProcessorDefaults("bicubic", _MEAN, _STD, crop=True, square=False)
    tokens = 77
    image_outputs = ("image_embeds",)
    text_outputs = ("text_embeds",)

    def constants(self, path: Path, outputs: Mapping[str, Array] | None) -> dict[str, float]:
        if outputs is None:
            return {"logit_scale": _LARGEST_SCALE}
        return {"logit_scale": LogitConstants.fit(path, outputs, with_bias=False).scale}
