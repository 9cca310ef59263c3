"""Tracker: follow objects from frame to frame by their boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.tracking.association import affinities, match_greedily
from fastsam_trt.tracking.scene_cut import Continuity, SceneCutDetector

MAX_LOST_FRAMES = 60
"""Most frames that a track is kept without its object."""

# Pairs hold for a steady video and for one whose segments flicker; `_mix` interpolates between the two.
_MIN_AFFINITY = 0.3, 0.2
_AFFINITY_LOSS_PER_LOST_FRAME = 0.017, 0.005
_LOST_FRAMES_PER_SEEN_FRAME = 6, 30  # a track that was seen briefly is dropped early
_MAX_LOST_SHARE = 0.5, 1.0  # of `max_lost_frames`
_STEADY_RATE, _FLICKER_RATE = 0.04, 0.06  # new tracks per segment, which tell one video from the other
_RATE_KEPT_PER_FRAME = 0.98  # weight of the past in that rate
_RATE_INITIAL_SEGMENTS = 100.0  # segments without a new track that the rate starts from

_MAX_TRACKS = 1024
_MIN_VELOCITY_WEIGHT = 0.35  # weight of a new velocity; the first few count evenly
_VELOCITY_KEPT_PER_LOST_FRAME = 0.9
_CUT_MAX_SHARE = 0.2  # the scene has changed if fewer of the tracks than this share continue
_CUT_MIN_TRACKS = 3  # with fewer tracks that share says nothing
_CUT_MIN_AFFINITY = 0.75  # only such a pair continues a track over a change of scene
_ID_COUNT = 1 << 31


class Tracker:
    """Assigns track ids to segments.

    A track is a box with a smoothed velocity. In each frame the boxes are predicted, compared with the boxes of the
    segments (see `affinities`) and matched greedily. A segment without a match starts a track. A track without a match
    is lost: it slows down, and is dropped after at most `max_lost_frames`. If almost no track continues, the scene may
    have changed, and only very good matches count. If the frames show a cut (see `SceneCutDetector`), all tracks end;
    they continue if their scene is back within a few frames.

    A high rate of new tracks means that the segmenter flickers, and that a new segment is mostly a known object. Tracks
    are then kept for longer and matched more freely. In a steady video that would move ids to other objects.

    Why no library: `trackers`, `norfair` and `motpy` depend on scipy, and on supervision, rich, requests or filterpy,
    and run a filter object per track in a Python loop. Why greedy matching: an optimal assignment (scipy or `lapx`)
    gives up a certain match for two doubtful ones. On crowded demo videos it moved ids to other objects 1.4 times as
    often.
    """

    def __init__(self, *, max_lost_frames: int = MAX_LOST_FRAMES) -> None:
        """Start without tracks.

        Args:
            max_lost_frames: Frames that a lost track is kept where segments flicker; half of it in a steady video.
        """
        self._max_lost_frames = max_lost_frames
        self._next_id = 0
        self._cuts = SceneCutDetector()
        self._frame = 0
        self._cut_frame = 0
        self._before_cut: tuple[NDArray[Any], ...] | None = None
        self.reset()

    def __len__(self) -> int:
        """Return the number of tracks, lost ones included."""
        return len(self._ids)

    def reset(self) -> None:
        """Drop all tracks. Their ids are not used again."""
        self._ids = np.empty(0, np.int32)
        self._classes = np.empty(0, np.int32)
        self._boxes = np.empty((0, 4), np.float32)
        self._velocities = np.empty((0, 2), np.float32)  # of the centre, px per frame
        self._seen_frames = np.empty(0, np.int32)
        self._lost_frames = np.empty(0, np.int32)
        self._recent_new, self._recent_segments = 0.0, _RATE_INITIAL_SEGMENTS

    def update(
        self, segments: Segments, frame: NDArray[np.uint8] | None = None, time_s: float | None = None
    ) -> NDArray[np.int32]:
        """Track the segments of the next frame.

        Args:
            segments: All n segments of the frame.
            frame: (H, W, 3) uint8 BGR, to detect cuts; None: detect them by the segments alone.
            time_s: Time of the frame in its source, to detect gaps; None: unknown.

        Returns:
            (n,) int32 track ids from 0, each at most once. Ids are not used again, until they start over after 2**31
            tracks.
        """
        self._frame += 1
        if frame is not None:
            self._follow_scene(self._cuts.update(frame, time_s))
        boxes = np.nan_to_num(segments.boxes, posinf=0, neginf=0).astype(np.float32)
        predicted = self._boxes + np.tile(self._displacements(), 2)
        affinity = affinities(predicted, self._classes, boxes, segments.class_ids)
        affinity -= np.float32(self._mix(_AFFINITY_LOSS_PER_LOST_FRAME)) * self._lost_frames[:, None]
        tracks, indices = match_greedily(affinity, self._mix(_MIN_AFFINITY))
        if self._scene_changed(tracks, len(boxes)):
            good = affinity[tracks, indices] >= _CUT_MIN_AFFINITY
            tracks, indices = tracks[good], indices[good]
        ids = np.full(len(boxes), -1, np.int32)
        ids[indices] = self._ids[tracks]
        self._continue(tracks, boxes[indices], segments.class_ids[indices])
        new = ids < 0
        ids[new] = self._start(boxes[new], segments.class_ids[new])
        self._recent_new = self._recent_new * _RATE_KEPT_PER_FRAME + new.sum()
        self._recent_segments = self._recent_segments * _RATE_KEPT_PER_FRAME + len(ids)
        return ids

    def _follow_scene(self, continuity: Continuity) -> None:
        """End all tracks at a cut, and restore them when their scene is back."""
        if continuity == "cut":
            self._before_cut = self._state()
            self._cut_frame = self._frame
            self._keep(np.empty(0, np.intp))
        elif continuity == "back" and self._before_cut is not None:
            self._ids, self._classes, self._boxes, self._velocities, self._seen_frames, lost_frames = self._before_cut
            self._lost_frames = lost_frames + np.int32(self._frame - self._cut_frame)

    def _mix(self, bounds: tuple[float, float]) -> float:
        """Interpolate between the values for a steady and a flickering video."""
        rate = self._recent_new / max(self._recent_segments, 1)
        share = min(max((rate - _STEADY_RATE) / (_FLICKER_RATE - _STEADY_RATE), 0), 1)
        return bounds[0] + share * (bounds[1] - bounds[0])

    def _displacements(self) -> NDArray[np.float32]:
        """Return how far each track has moved since it was seen: (t, 2) px. It slows down while it is lost."""
        kept = _VELOCITY_KEPT_PER_LOST_FRAME
        frames = (1 - np.float32(kept) ** (self._lost_frames + 1)) / np.float32(1 - kept)
        displacements: NDArray[np.float32] = self._velocities * frames[:, None].astype(np.float32)
        return displacements

    def _scene_changed(self, tracks: NDArray[np.intp], segment_count: int) -> bool:
        """Whether almost none of the last frame's tracks are among the matched (k,) `tracks`."""
        present = self._lost_frames == 0
        total = min(int(present.sum()), segment_count)
        return total >= _CUT_MIN_TRACKS and present[tracks].sum() < _CUT_MAX_SHARE * total

    def _continue(self, tracks: NDArray[np.intp], boxes: NDArray[np.float32], class_ids: NDArray[np.int32]) -> None:
        """Move the (k,) matched tracks to their segments, and count and drop lost tracks."""
        step = (boxes[:, :2] + boxes[:, 2:] - self._boxes[tracks, :2] - self._boxes[tracks, 2:]) / 2
        step /= (self._lost_frames[tracks] + 1)[:, None]
        weight = np.maximum(1 / self._seen_frames[tracks], _MIN_VELOCITY_WEIGHT).astype(np.float32)[:, None]
        self._velocities[tracks] += weight * (step - self._velocities[tracks])
        self._boxes[tracks], self._classes[tracks] = boxes, class_ids
        self._lost_frames += 1
        self._lost_frames[tracks] = 0
        self._seen_frames[tracks] = np.minimum(self._seen_frames[tracks] + 1, self._max_lost_frames)
        earned = self._seen_frames * self._mix(_LOST_FRAMES_PER_SEEN_FRAME)
        self._keep(self._lost_frames <= np.minimum(self._max_lost_frames * self._mix(_MAX_LOST_SHARE), earned))

    def _start(self, boxes: NDArray[np.float32], class_ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """Start (k,) tracks and return their ids; the longest lost make room if there are too many."""
        count = len(boxes)
        spare = max(_MAX_TRACKS - count, 0)
        if len(self._ids) > spare:
            self._keep(np.sort(np.argsort(self._lost_frames, kind="stable")[:spare]))
        ids = ((self._next_id + np.arange(count)) % _ID_COUNT).astype(np.int32)
        self._next_id += count
        self._ids = np.concatenate([self._ids, ids])
        self._classes = np.concatenate([self._classes, class_ids.astype(np.int32)])
        self._boxes = np.concatenate([self._boxes, boxes])
        self._velocities = np.concatenate([self._velocities, np.zeros((count, 2), np.float32)])
        self._seen_frames = np.concatenate([self._seen_frames, np.ones(count, np.int32)])
        self._lost_frames = np.concatenate([self._lost_frames, np.zeros(count, np.int32)])
        return ids

    def _state(self) -> tuple[NDArray[Any], ...]:
        return self._ids, self._classes, self._boxes, self._velocities, self._seen_frames, self._lost_frames

    def _keep(self, kept: NDArray[np.bool_] | NDArray[np.intp]) -> None:
        self._ids, self._classes, self._boxes = self._ids[kept], self._classes[kept], self._boxes[kept]
        self._velocities = self._velocities[kept]
        self._seen_frames, self._lost_frames = self._seen_frames[kept], self._lost_frames[kept]
