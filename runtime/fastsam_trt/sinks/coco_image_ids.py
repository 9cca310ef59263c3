"""ImageIds: COCO image ids for the frames of a run."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from fastsam_trt.results.ground_truth import GroundTruth
from fastsam_trt.sinks.frame_names import source_name
from fastsam_trt.sources import Frame

_logger = logging.getLogger(__name__)

_HIGHEST = 2**53 - 1  # the largest integer that all JSON readers keep exactly


class ImageIds:
    """Unique ids for the images of a run.

    Ids come from the ground truth if there is one. Otherwise they are the numbers in the file names (139 for
    `000000000139.jpg` and `COCO_val2014_000000000139.jpg`), if all names are a number, or end with an underscore and a
    number, and all numbers differ. Otherwise they are the positions of the images in the run, from 0. For a single
    video or camera, the id of a frame is its index.
    """

    def __init__(
        self, files: Sequence[Path] = (), truth: GroundTruth | None = None, *, has_videos: bool = False
    ) -> None:
        """Choose the ids.

        Args:
            files: The images of the run, and videos among them; empty for a single video or camera.
            truth: Annotations to take the ids from.
            has_videos: Whether there are videos among the files. Names then give no ids.

        Raises:
            GroundTruthError: The annotations do not contain every image exactly once.
        """
        self._counted = bool(files)
        ids = truth.image_ids(files) if truth else {} if has_videos else _by_name(files)
        ids = ids or {file: position for position, file in enumerate(files)}
        self._ids = {source_name(file): image_id for file, image_id in ids.items()}
        self._next = max([len(files) - 1, *ids.values()]) + 1
        self._last: tuple[Frame, int] | None = None

    def of(self, frame: Frame) -> int:
        """The id of a frame. Frames come in the order of the run; the same frame again has the same id."""
        if self._last is not None and self._last[0] is frame:
            return self._last[1]
        image_id = self._take(frame.source) if self._counted else frame.index
        self._last = (frame, image_id)
        return image_id

    def _take(self, source: str) -> int:
        image_id = self._ids.pop(source.removesuffix("#1"), None)  # the first page has the id of its file
        if image_id is None:  # another frame or page of the same file
            image_id, self._next = self._next, self._next + 1
        return image_id


def _by_name(files: Sequence[Path]) -> dict[Path, int]:
    """Ids from file names; empty if a name has no number, or two have the same."""
    ids: dict[Path, int] = {}
    owners: dict[int, Path] = {}
    found = ""
    for file in files:
        number = re.fullmatch(r"(?:.*_)?([0-9]+)", file.stem, re.DOTALL)
        if not number or len(number[1].lstrip("0")) > len(str(_HIGHEST)) or int(number[1]) > _HIGHEST:
            found = str(file)
            break
        image_id = int(number[1])
        if image_id in owners:
            found = f"{image_id} for {owners[image_id]} and {file}"
            break
        owners[image_id] = file
        ids[file] = image_id
    if not found:
        return ids
    if len(files) > 1:
        _logger.warning(
            "COCO's image ids are the positions of the images in the run, from 0: expected a different number in every "
            "file name, as in 000000000139.jpg or frame_12.png, found %s; --coco-ids FILE takes ids from annotations",
            found,
        )
    return {}
