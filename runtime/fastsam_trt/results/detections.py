"""Results as `supervision.Detections`, for its annotators, zones and trackers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastsam_engine.errors import PackagesMissingError

if TYPE_CHECKING:
    from supervision import Detections

    from fastsam_trt.results.result import Result


def as_detections(result: Result) -> Detections:
    """See `Result.to_supervision`."""
    try:
        from supervision import Detections
    except ModuleNotFoundError as error:
        raise PackagesMissingError([error.name or "supervision"], "supervision") from error
    names, prompts = result.class_names, result.prompts
    track_ids = result.track_ids
    return Detections(
        xyxy=result.boxes,
        mask=result.masks(),
        confidence=result.scores,
        class_id=result.class_ids,
        tracker_id=track_ids if (track_ids >= 0).any() else None,
        data={
            "class_name": np.array([names[i] if i < len(names) else "" for i in result.class_ids.tolist()], np.str_),
            "prompt": np.array([prompts[i] if i >= 0 else "" for i in result.prompt_ids.tolist()], np.str_),
            "similarity": result.similarities,
        },
    )
