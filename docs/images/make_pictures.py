"""Make pictures.jpg: one result drawn by supervision's annotators, and by `result.plot()`.

It needs the extra `[supervision]`. Run `fastsam-trt export yolov8n-seg` first, then this script, in any folder.
"""

from pathlib import Path

import cv2
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from fastsam_engine.backends.tensorrt import plan_check
from fastsam_trt import Pipeline, Result
from fastsam_trt.frames.image import read_image

PHOTO = Path(plan_check.__path__[0]) / "sample_photos" / "coffee.jpg"
SIZE, GAP = (534, 800), 8  # px


def annotated(result: Result) -> NDArray[np.uint8]:
    """The result as supervision draws it, with the sizes of lines and texts that it computes for the frame."""
    detections = result.to_supervision()
    size = result.frame.shape[1], result.frame.shape[0]
    line = sv.calculate_optimal_line_thickness(size)
    texts = [f"{name} {score:.2f}" for name, score in zip(result.labels, result.scores, strict=True)]
    image = sv.MaskAnnotator().annotate(result.frame.copy(), detections)
    image = sv.PolygonAnnotator(thickness=line).annotate(image, detections)
    labels = sv.LabelAnnotator(
        text_scale=sv.calculate_optimal_text_scale(size), text_thickness=max(line // 2, 1), smart_position=True
    )
    return np.asarray(labels.annotate(image, detections, texts), np.uint8)


photo = np.asarray(cv2.resize(read_image(PHOTO), SIZE[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
with Pipeline("yolov8n-seg") as pipe:
    found = pipe(photo)
gap = np.full((SIZE[0], GAP, 3), 255, np.uint8)
sheet = np.hstack([annotated(found), gap, found.plot()])
cv2.imwrite(str(Path(__file__).parent / "pictures.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])
