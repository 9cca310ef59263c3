"""CocoIds: the image ids, category ids and image names that all COCO outputs of a run share."""

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
        images: Ids of the frames.
        categories: Category ids of the segments.
        names: Names of the frames.
        videos: The videos among the images.
    """

    def __init__(self, kind: Kind, files: Sequence[Path] = (), truth: Path | None = None) -> None:
        """Choose the ids.

        Args:
            kind: Kind of the source.
            files: The images of the source, and videos among them.
            truth: A COCO annotation file to take the ids from.

        Raises:
            GroundTruthError: The file can't be read, or does not contain every image exactly once.
            OptionError: `truth` is given for a video or camera, whose frames annotation files don't contain.
        """
        if truth is not None and not files:
            raise OptionError("coco_ids", "images as the source, since annotations list file names", f"a {kind} source")
        annotations = None if truth is None else GroundTruth(truth)
        self.videos = tuple(file for file in files if is_video(file))
        self.images = ImageIds(files, annotations, has_videos=bool(self.videos))
        self.categories = Categories(annotations)
        self.names = FrameNames(kind, files)
