"""Adopt SigLIP and SigLIP 2 of a fixed size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastsam_engine.session import Array
from fastsam_export.adopt.image_processor import ProcessorDefaults
from fastsam_export.adopt.logit_constants import LogitConstants
from fastsam_export.adopt.ready_family import register
from fastsam_export.adopt.tokenizer_files import TokenizerFiles
from fastsam_export.adopt.two_towers import TwoTowers
from fastsam_export.errors import AdoptionError

DECISION_PROBABILITY = 0.1
"""The model's own probability that becomes a score of 0.5, the default threshold.

SigLIP was trained with one right text among tens of thousands, so its probabilities are low: 0.17 for a right text and
0.00002 for a wrong one in the example of transformers.js (pull request 473). A score s and a probability p relate as
s / (1 - s) = 9 * p / (1 - p); a probability of 0.5 is a score of 0.9.
"""

_SECOND = ("Siglip2Tokenizer", "GemmaTokenizer", "GemmaTokenizerFast")  # SigLIP 2 was trained on texts in lower case


@register
class ReadySiglip(TwoTowers):
    """SigLIP in the layout of transformers.js. SigLIP 2 of a fixed size has the same architecture and type."""

    description = "SigLIP of a fixed size"
    family = "siglip"
    processor = ProcessorDefaults("bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    tokens = 64
    image_outputs = ("image_embeds", "pooler_output")
    text_outputs = ("text_embeds", "pooler_output")

    def constants(self, path: Path, outputs: Mapping[str, Array] | None) -> dict[str, float]:
        if outputs is None:
            raise AdoptionError(
                path,
                "expected a graph of the whole model, which contains SigLIP's logit scale and bias, found towers apart",
                "add the repository's onnx/model.onnx, or its sibling of this precision",
            )
        found = LogitConstants.fit(path, outputs, with_bias=True)
        return {
            "logit_scale": found.scale,
            "even_cosine": found.decision_cosine(DECISION_PROBABILITY),
            "default_negatives": 0.0,
        }

    def prepare(self, tokenizer: TokenizerFiles) -> None:
        if tokenizer.kind in _SECOND:
            tokenizer.lowercase()
