"""Logit scale and bias, found from the outputs of a whole model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastsam_export.adopt.logit_constants import LogitConstants, unit_rows
from fastsam_export.errors import AdoptionError

PATH = Path("model.onnx")


def _outputs(scale: float, bias: float, noise: float = 0.0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    image, text = (generator.normal(size=(n, 16)).astype(np.float32) for n in (3, 6))
    logits = scale * (unit_rows(image) @ unit_rows(text).T) + bias
    logits += generator.normal(0, noise, logits.shape) if noise else 0
    return {"image_embeds": image, "text_embeds": text, "logits_per_image": logits.astype(np.float32)}


@pytest.mark.parametrize("bias", [0.0, -12.93])
def test_constants_are_found_of_either_direction(bias: float) -> None:
    outputs = _outputs(117.33, bias)
    found = LogitConstants.fit(PATH, outputs, with_bias=bias != 0)
    assert (found.scale, found.bias) == pytest.approx((117.33, bias), rel=1e-5)
    turned = {**outputs, "logits_per_text": outputs.pop("logits_per_image").T}
    assert LogitConstants.fit(PATH, {**outputs, **turned}, with_bias=bias != 0).scale == pytest.approx(found.scale)


def test_the_decision_cosine_has_the_probability() -> None:
    constants = LogitConstants(117.33, -12.93)
    for probability in (0.5, 0.1):
        logit = constants.scale * constants.decision_cosine(probability) + constants.bias
        assert 1 / (1 + np.exp(-logit)) == pytest.approx(probability)
    assert constants.decision_cosine(0.5) == pytest.approx(12.93 / 117.33)


def test_logits_that_do_not_follow_are_refused() -> None:
    for outputs in (_outputs(20, 0, noise=3), _outputs(-20, 0), _outputs(20, -12)):
        with pytest.raises(AdoptionError, match="expected logits that grow with the cosine"):
            LogitConstants.fit(PATH, outputs, with_bias=False)
    outputs = _outputs(20, 0)
    del outputs["logits_per_image"]
    with pytest.raises(AdoptionError, match="expected logits_per_image among its outputs"):
        LogitConstants.fit(PATH, outputs, with_bias=False)
