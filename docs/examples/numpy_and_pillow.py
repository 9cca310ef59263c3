"""Give frames as numpy arrays or Pillow images: BGR as OpenCV has it, grey, BGRA, 16-bit.

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
        image = Image.fromarray(bgr[..., ::-1])  # Pillow's images are RGB
        frames = {
            "numpy BGR": bgr,
            "Pillow RGB": np.asarray(image)[..., ::-1],
            "Pillow RGBA": np.asarray(image.convert("RGBA"))[..., [2, 1, 0, 3]],
            "16-bit": bgr.astype(np.uint16) * 257,
            "grey": np.asarray(image.convert("L")),
        }
        for name, frame in frames.items():
            print(f"{name}: {len(pipe(frame))} segments")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
