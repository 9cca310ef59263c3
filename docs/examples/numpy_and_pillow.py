"""Give images as you have them: paths, numpy arrays (BGR as OpenCV, or RGB), Pillow images, and lists of these.

python numpy_and_pillow.py [PHOTO] [PROMPT] [MODEL]
"""

import sys

import numpy as np
from PIL import Image

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors


def main(photo: str = "demo", prompt: str = "circle", model: str = "demo-seg") -> None:
    with Pipeline(model, prompts=[prompt]) as pipe, open_source(photo) as source:
        bgr = next(iter(source)).image  # (H, W, 3) uint8
        rgb = bgr[..., ::-1]
        Image.fromarray(rgb).save("frame.png")
        print(f"numpy BGR: {len(pipe(bgr))} segments")
        print(f"numpy RGB: {len(pipe(rgb, colours='rgb'))} segments")
        print(f"numpy RGB from 0 to 1: {len(pipe(rgb / 255, colours='rgb'))} segments")
        print(f"numpy 16-bit: {len(pipe(bgr.astype(np.uint16) * 257))} segments")
        print(f"numpy grey: {len(pipe(bgr.mean(axis=2).astype(np.uint8)))} segments")
        for name, result in zip(("path", "Pillow"), pipe(["frame.png", Image.open("frame.png")]), strict=True):
            print(f"{name}: {len(result)} segments")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
