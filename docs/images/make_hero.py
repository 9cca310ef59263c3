"""Make hero.jpg: a photo beside what `fastsam-trt` selects in it for the prompt "cat".

Run `fastsam-trt export yolov8n-seg` first, then this script, in any folder.
"""

from pathlib import Path

import cv2
import numpy as np

from fastsam_trt import Pipeline, open_source

FOLDER = Path(__file__).parent
WIDTH, GAP = 596, 8  # px; of a panel, and between the two

with open_source(str(FOLDER / "chelsea.png")) as source:
    photo = next(iter(source)).image
height = round(WIDTH * photo.shape[0] / photo.shape[1])
with Pipeline("yolov8n-seg", prompts=["cat"], imgsz=320) as pipe:  # the photo is smaller than the model's usual input
    selected = pipe(photo).plot(size=(height, WIDTH), text_size=44)
original = cv2.resize(photo, (WIDTH, height), interpolation=cv2.INTER_CUBIC)
sheet = np.hstack([original, np.full((height, GAP, 3), 255, np.uint8), selected])
cv2.imwrite(str(FOLDER / "hero.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])
