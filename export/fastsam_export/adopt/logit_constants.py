"""Find how a model with two towers turns the cosine of an image and a text into a logit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Array
from fastsam_export.errors import AdoptionError

_LARGEST_REST = 0.02  # of the largest logit: what a line may leave unexplained, since quantised graphs round


@dataclass(frozen=True, slots=True)
class LogitConstants:
    """The logit of an image and a text is `scale * cosine + bias`."""

    scale: float
    bias: float

    @classmethod
    def fit(cls, path: Path, outputs: Mapping[str, Array], *, with_bias: bool) -> LogitConstants:
        """Fit the constants to the outputs of a whole model, which contains but does not output them.

        Args:
            path: Its graph, for messages.
            outputs: `image_embeds` (i, d), `text_embeds` (t, d), and `logits_per_image` (i, t) or `logits_per_text`.
            with_bias: Whether the model has a bias.

        Raises:
            AdoptionError: There are no logits, or they do not follow from the cosines.
        """
        if "logits_per_image" in outputs:
            logits = outputs["logits_per_image"].astype(np.float64)
        elif "logits_per_text" in outputs:
            logits = outputs["logits_per_text"].astype(np.float64).T
        else:
            raise AdoptionError(path, f"expected logits_per_image among its outputs, found {', '.join(outputs)}")
        cosines = unit_rows(outputs["image_embeds"]) @ unit_rows(outputs["text_embeds"]).T
        columns = [cosines.ravel(), np.ones(cosines.size)][: 1 + with_bias]
        (scale, *bias), *_ = np.linalg.lstsq(np.stack(columns, axis=1), logits.ravel(), rcond=None)
        found = cls(float(scale), float(bias[0]) if bias else 0.0)
        rest = np.abs(found.scale * cosines + found.bias - logits).max()
        if not (found.scale > 0 and rest <= _LARGEST_REST * np.abs(logits).max()):
            raise AdoptionError(
                path, f"expected logits that grow with the cosine, found {found} with errors up to {rest:.3g}"
            )
        return found

    def decision_cosine(self, probability: float) -> float:
        """The cosine at which the model's own probability, the sigmoid of the logit, is this one."""
        return (math.log(probability / (1 - probability)) - self.bias) / self.scale


def unit_rows(rows: Array) -> NDArray[np.float64]:
    """Scale rows (n, d) to length one."""
    wide = rows.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), np.float64)
