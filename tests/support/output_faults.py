"""Faults of outputs that a user would see, by the meaning of the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec

Harm = Callable[[np.ndarray, ModelSpec], np.ndarray]
_BOX_PX = 3


def _on(rows: Callable[[np.ndarray, ModelSpec], None]) -> Harm:
    """Apply a fault in place to a copy."""

    def harm(array: np.ndarray, spec: ModelSpec) -> np.ndarray:
        harmed = array.copy()
        rows(harmed, spec)
        return harmed

    return harm


def _scores(array: np.ndarray, spec: ModelSpec) -> np.ndarray:
    return array[:, 4 : 4 + len(spec.class_names)]


def _scale_scores(array: np.ndarray, spec: ModelSpec) -> None:
    _scores(array, spec)[:] *= 0.5


def _no_scores(array: np.ndarray, spec: ModelSpec) -> None:
    _scores(array, spec)[:] = 0


def _dead_class(array: np.ndarray, spec: ModelSpec) -> None:
    """The class that the samples show least."""
    scores = _scores(array, spec)
    scores[:, scores.max(axis=(0, 2)).argmin()] = 0


def _move_boxes(array: np.ndarray, spec: ModelSpec) -> None:
    array[:, :4] += _BOX_PX


def _move_across(array: np.ndarray, spec: ModelSpec) -> None:
    array[:, 0] += _BOX_PX


def _swap_coefficients(array: np.ndarray, spec: ModelSpec) -> None:
    array[:, -2:] = array[:, -2:][:, ::-1].copy()


def _move_rows(array: np.ndarray, spec: ModelSpec) -> None:
    array[..., :4] += _BOX_PX


def _scale_row_scores(array: np.ndarray, spec: ModelSpec) -> None:
    array[..., 4] *= 0.5


def _rename_rows(array: np.ndarray, spec: ModelSpec) -> None:
    array[..., 5] = (array[..., 5] + 1) % len(spec.class_names)


def _lose_class(array: np.ndarray, spec: ModelSpec) -> None:
    """The most certain class of each picture."""
    for rows in array:
        others = rows[rows[:, 5] != rows[0, 5]]
        rows[: len(others)] = others
        rows[len(others) :, 4] = 0


def _swap_row_coefficients(array: np.ndarray, spec: ModelSpec) -> None:
    array[..., -2:] = array[..., -2:][..., ::-1].copy()


def _shift_one(axis: int) -> Harm:
    def shift(array: np.ndarray, spec: ModelSpec) -> None:
        array[:, 1] = np.roll(array[:, 1], 1, axis)

    return _on(shift)


def _one_row(array: np.ndarray, spec: ModelSpec) -> None:
    array[..., 0, :] = array[..., -1, :]


def _lost_row(array: np.ndarray, spec: ModelSpec) -> None:
    array[..., 0, :] = 0


def _dead_plane(array: np.ndarray, spec: ModelSpec) -> None:
    array[:, 0] = 0


def _dead_column(array: np.ndarray, spec: ModelSpec) -> None:
    array[..., 1] = array.min()


def _move_parts(array: np.ndarray, spec: ModelSpec) -> None:
    assert isinstance(spec.input, ImageInput)
    array[..., 0] += _BOX_PX / spec.input.width


def _empty_mask(array: np.ndarray, spec: ModelSpec) -> None:
    """The largest."""
    array[np.unpackbits(array, axis=2).sum(axis=(1, 2)).argmax()] = 0


def _swap_rows(array: np.ndarray, spec: ModelSpec) -> None:
    """The anchors of the last level, which are few, in another order."""
    few = len(array) // 3
    array[-few:] = array[-few:][::-1].copy()


def _swap_last_columns(array: np.ndarray, spec: ModelSpec) -> None:
    array[:, -2:] = array[:, -2:][:, ::-1].copy()


def _swap_sides(array: np.ndarray, spec: ModelSpec) -> None:
    """Left and top of every box."""
    side = array.shape[1] // 4
    array[:, : 2 * side] = np.roll(array[:, : 2 * side], side, 1)


def _one_quiet_level(array: np.ndarray, spec: ModelSpec) -> None:
    """The last few anchors, as of the coarsest level, are a logit less sure."""
    array[:, -array.shape[1] // 5 :] -= 1


def _channels_last(harm: Harm) -> Harm:
    return lambda array, spec: np.moveaxis(harm(np.moveaxis(array, -1, 1), spec), 1, -1)


_HALF: Harm = lambda array, _: array * array.dtype.type(0.5)  # noqa: E731
_MAP: Mapping[str, Harm] = {
    "shifted one": _shift_one(-1),
    "shifted one down": _shift_one(-2),
    "lost one": _on(_dead_plane),
}

FAULTS: Mapping[str, Mapping[str, Harm]] = {
    "yolo-detections": {
        "scores x 0.5": _on(_scale_scores),
        "no scores": _on(_no_scores),
        "dead class": _on(_dead_class),
        "boxes + 3 px": _on(_move_boxes),
        "centres + 3 px": _on(_move_across),
        "coefficients swapped": _on(_swap_coefficients),
    },
    "yolo-end2end-detections": {
        "scores x 0.5": _on(_scale_row_scores),
        "dead class": _on(_lose_class),
        "boxes + 3 px": _on(_move_rows),
        "classes renamed": _on(_rename_rows),
        "coefficients swapped": _on(_swap_row_coefficients),
    },
    "mask-prototypes": _MAP,
    "features": {name: _channels_last(harm) for name, harm in _MAP.items()},
    "anchor-logits": {
        "logits + 1": lambda array, _: array + 1,
        "shifted by an anchor": lambda array, _: np.roll(array, 1, 1),
        "a level off": _on(_one_quiet_level),
    },
    "anchor-classes": {"classes renamed": lambda array, spec: (array + 1) % len(spec.class_names)},
    "anchor-boxes": {
        "sides swapped": _on(_swap_sides),
        "rows swapped": _on(_swap_rows),
        "distributions reversed": lambda array, _: array[:, ::-1],
    },
    "mask-coefficients": {"swapped": _on(_swap_last_columns), "rows swapped": _on(_swap_rows)},
    "attention-keys": _MAP,
    "mask-features": _MAP,
    "mask-pyramid": _MAP,
    "class-logits": {
        **_MAP,
        "logits x 0.5": _HALF,
        "classes permuted": lambda array, _: np.roll(array, 1, 1),
        "all shifted": lambda array, _: np.roll(array, 1, -1),
    },
    "query-class-logits": {
        "logits x 0.5": _HALF,
        "classes permuted": lambda array, _: np.roll(array, 1, 2),
        "dead class": _on(_dead_column),
    },
    "query-boxes": {"boxes + 3 px": _on(_move_parts)},
    "query-mask-logits": {"logits x 0.5": _HALF, "all shifted": lambda array, _: np.roll(array, 1, -1)},
    "query-features": {"lost row": _on(_lost_row), "features shifted": lambda array, _: np.roll(array, 1, -1)},
    "embedding": {"wrong row": _on(_one_row), "rows permuted": lambda array, _: np.roll(array, 1, 0)},
    "model-input": {
        "all shifted": lambda array, _: np.roll(array, 1, -1),
        "colours swapped": lambda array, _: array[:, ::-1],
        "a level off": lambda array, _: array + np.ptp(array) / 255,
    },
    "packed-masks": {
        "all shifted": lambda array, _: np.packbits(np.roll(np.unpackbits(array, axis=2), 1, 2), axis=2),
        "lost one": _on(_empty_mask),
    },
}
"""Meaning of an output to its possible faults. `ANY` has the faults of all outputs."""

ANY: Mapping[str, Harm] = {"all zero": lambda array, _: np.zeros_like(array)}
