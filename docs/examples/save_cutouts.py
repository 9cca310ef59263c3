"""Save each selected segment as a PNG file with a transparent background.

python save_cutouts.py [PHOTO] [PROMPT] [MODEL]
"""

import sys

import cv2

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors


def main(photo: str = "demo", prompt: str = "red circle", model: str = "demo-seg") -> None:
    with Pipeline(model, prompts=[prompt]) as pipe, open_source(photo) as source:
        result = pipe(next(iter(source)).image)
    for segment in result:
        name, cutout = f"{prompt.replace(' ', '-')}-{segment.index}.png", segment.cutout  # (h, w, 4) uint8 BGRA
        cv2.imwrite(name, cutout)
        print(f"{name}: {cutout.shape[1]} x {cutout.shape[0]} px")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
