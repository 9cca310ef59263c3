"""Make demo.jpg: four frames of the demo video with the prompt "red circle". Run it in any folder."""

from pathlib import Path

import cv2
import numpy as np

from fastsam_trt import Pipeline
from fastsam_trt.sources.demo_video import DemoVideo

FRAMES = ((20, 255), (230, 290))

video = DemoVideo()
with Pipeline("demo-seg", prompts=["red circle"]) as pipe:
    rows = [np.hstack([pipe(video.scene(index).frame).plot() for index in row]) for row in FRAMES]
cv2.imwrite(str(Path(__file__).parent / "demo.jpg"), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 82])
