"""CocoIds: how the outputs of one run number images and categories, and name images, in COCO's formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastsam_trt.errors import OptionError
from fastsam_trt.results.categories import Categories
from fastsam_trt.results.ground_truth import GroundTruth
from fastsam_trt.sinks.coco_image_ids import ImageIds
from fastsam_trt.sinks.frame_names import FrameNames
from fastsam_trt.sources import Kind
from fastsam_trt.sources.files.files_source import is_video


class CocoIds:
    """The ids of one run.

    Attributes:
        images: Ids of its frames.
        categories: Ids of what its segments show.
        names: Names of its frames.
        videos: The videos among its images.
    """

    def __init__(self, kind: Kind, files: Sequence[Path] = (), truth: Path | None = None) -> None:
        """Decide.

        Args:
            kind: Of the source.
            files: Its images, and videos among them.
            truth: A file of COCO annotations, which the ids come from.

        Raises:
            GroundTruthError: The file can't be read, or does not have each of the images once.
            OptionError: There is such a file, and the source is a video or camera, whose frames it can't have.
        """
        if truth is not None and not files:
            raise OptionError("coco_ids", "a source of images, which annotations know by name", f"a source of {kind}")
        annotations = None if truth is None else GroundTruth(truth)
        self.videos = tuple(file for file in files if is_video(file))
        self.images = ImageIds(files, annotations, has_videos=bool(self.videos))
        self.categories = Categories(annotations)
        self.names = FrameNames(kind, files)
