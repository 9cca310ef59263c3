"""Draw the segments of a frame in three ways: with labels, with boxes only, and all panels side by side.

python draw_results.py [SOURCE] [PROMPT] [MODEL]
"""

import sys

import cv2

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors
from fastsam_trt.results.panels import draw_panels


def main(source: str = "demo", prompt: str = "red circle", model: str = "demo-seg") -> None:
    with Pipeline(model, prompts=[prompt]) as pipe, open_source(source) as frames:
        result = pipe(next(iter(frames)).image)
    print(result.save("labels.png", opacity=0.6, text_size=40))
    print(result.save("boxes.png", draw="boxes,scores", line_width=2))
    cv2.imwrite("panels.png", draw_panels(result))


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
