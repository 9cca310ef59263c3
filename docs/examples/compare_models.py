"""Compare segmentation models on one photo: a table of times, and a page with panels and rankings.

python compare_models.py [PHOTO] [PROMPT] [MODEL ...]
"""

import sys

import cv2

from fastsam_trt import open_source
from fastsam_trt.cli import one_line_errors
from fastsam_trt.comparison import compare, draw_sheet


def main(photo: str = "demo", prompt: str = "red circle", *models: str) -> None:
    with open_source(photo) as source:
        image = next(iter(source)).image
    comparison = compare(image, models or ["demo-seg"], [prompt], repeat=3)
    for outcome in comparison.models:
        total_ms = sorted(outcome.times_ms["total"])[1]
        print(f"{outcome.name}: {len(outcome.result)} of {len(outcome.result.segments)} segments, {total_ms:.1f} ms")
    cv2.imwrite("comparison.png", draw_sheet(comparison, top=5))


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
