"""Results as `supervision.Detections`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastsam_engine.errors import PackagesMissingError
from fastsam_trt.results.selected import SelectedSegments

if TYPE_CHECKING:
    from supervision import Detections


def as_detections(result: SelectedSegments) -> Detections:
    """The selected segments for supervision; see `Result.to_supervision`.

    Raises:
        PackagesMissingError: The extra `[supervision]` is not installed.
    """
    try:
        from supervision import Detections
    except ModuleNotFoundError as error:
        raise PackagesMissingError([error.name or "supervision"], "supervision") from error
    names, prompts, track_ids = result.class_names, result.prompts, result.track_ids
    class_names = [names[i] if i < len(names) else "" for i in result.class_ids.tolist()]
    return Detections(
        xyxy=result.boxes,
        mask=result.masks(),
        confidence=result.scores,
        class_id=result.class_ids,
        tracker_id=track_ids if (track_ids >= 0).any() else None,
        data={
            "class_name": np.array(class_names, np.str_),
            "prompt": np.array([prompts[i] if i >= 0 else "" for i in result.prompt_ids.tolist()], np.str_),
            "similarity": result.similarities,
        },
    )
