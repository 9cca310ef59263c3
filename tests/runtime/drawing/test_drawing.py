"""Drawing: tints change only masks, and the three panels show what their titles say."""

from __future__ import annotations

import numpy as np

from fastsam_trt import Pipeline
from fastsam_trt.drawing.labels import Tags
from fastsam_trt.drawing.overlay import captions, draw, draw_panels, tint
from fastsam_trt.masks.mask_source import MaskCrop
from support.colour_models import CELL_PX, scene, shape_mask

SHAPES = (("red", 1, 1), ("green", 5, 5))


def test_tint_changes_only_the_mask() -> None:
    frame = np.full((60, 80, 3), 100, np.uint8)
    pixels = np.zeros((30, 40), np.bool_)
    pixels[5:25, 5:35] = True
    image = tint(frame, [MaskCrop(20, 10, pixels)], [(200, 0, 100)])
    assert (frame == 100).all()
    assert image[25, 40].tolist() == [140, 60, 100]
    far = np.ones((60, 80), bool)
    far[10:40, 20:60] = False
    assert (image[far] == 100).all()


def test_masks_without_pixels_draw_nothing() -> None:
    frame = np.full((20, 20, 3), 100, np.uint8)
    crops = [MaskCrop(3, 3, np.zeros((0, 5), np.bool_)), MaskCrop(3, 3, np.zeros((4, 5), np.bool_))]
    np.testing.assert_array_equal(tint(frame, crops, [(1, 2, 3)] * 2), frame)


def test_the_overlay_marks_the_selection_only() -> None:
    frame = scene(*SHAPES)
    result = Pipeline("colours", prompts=["green"])(frame)
    image = draw(result)
    changed = (image != frame).any(axis=2)
    assert changed[shape_mask(5, 5)].mean() > 0.9
    assert not changed[shape_mask(1, 1)].any()
    assert captions(result) == [f"green {result.scores[0]:.2f}"]


def test_captions_show_similarity_for_clip_selections() -> None:
    result = Pipeline("things", clip="clip-colours", prompts=["a red shape"])(scene(*SHAPES))
    assert captions(result) == [f"a red shape {result.similarities[0]:.2f}"]
    nameless = Pipeline("things")(scene(*SHAPES))
    assert captions(nameless) == [f"{score:.2f}" for score in nameless.scores]


def test_three_panels_show_original_all_segments_and_selection() -> None:
    frame = scene(*SHAPES)
    result = Pipeline("colours", prompts=["green"])(frame)
    sheet = draw_panels(result)
    gap = 4
    heading = sheet.shape[0] - 256
    assert sheet.shape == (256 + heading, 3 * 256 + 2 * gap, 3)
    panels = [sheet[heading:, i * (256 + gap) : i * (256 + gap) + 256] for i in range(3)]
    np.testing.assert_array_equal(panels[0], frame)
    inner = np.s_[170:180, 170:180]
    assert (panels[1][inner] != frame[inner]).any()
    assert (panels[1][40:50, 40:50] != frame[40:50, 40:50]).any()
    np.testing.assert_array_equal(panels[2], draw(result))


def test_prompts_of_any_script_and_tiny_frames_can_be_drawn() -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red \U0001f600 naïve 東京 " + "long " * 60, "blue %s {}"])
    for size in ((1, 1), (3, 200), (200, 3)):
        result = pipe(np.full((*size, 3), (0, 0, 255), np.uint8))
        assert draw(result).shape == (*size, 3)
        assert draw_panels(result).dtype == np.uint8


def test_tags_do_not_overlap() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    tags = Tags(image)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    for colour in colours:
        tags.draw("person", 20, 40, colour)
    grounds = [(image == colour).all(axis=2) for colour in colours]
    sizes = [int(ground.sum()) for ground in grounds]
    assert sizes[0] > 100
    assert max(sizes) - min(sizes) < 0.15 * sizes[0]
    lowest = [int(np.flatnonzero(ground.any(axis=1)).max()) for ground in grounds]
    assert lowest == sorted(set(lowest))


def test_tracks_have_captions_and_constant_colours() -> None:
    pipe = Pipeline("colours", prompts=["red"], track=True)
    first = pipe(scene(("red", 1, 1), ("red", 5, 5)))
    second = pipe(scene(("red", 5, 5)))
    (track_id,) = second.track_ids.tolist()
    assert captions(second) == [f"red {second.scores[0]:.2f} #{track_id}"]
    assert track_id in first.track_ids
    y, x = 5 * CELL_PX + CELL_PX // 2, 5 * CELL_PX + CELL_PX // 2
    np.testing.assert_array_equal(draw(first)[y, x], draw(second)[y, x])
