"""Select by boxes and points, px of the frame: the segment that fits a box, and what lies under a point.

python boxes_and_points.py [PHOTO] [MODEL]
"""

import sys

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors


def main(photo: str = "demo", model: str = "demo-seg") -> None:
    with Pipeline(model) as pipe, open_source(photo) as source:
        image = next(iter(source)).image
        everything = pipe(image)
        x0, y0, x1, y1 = everything.boxes[0]
        centre = [(x0 + x1) / 2, (y0 + y1) / 2]
        by_box = pipe(image, boxes=[[x0 - 5, y0 - 5, x1 + 5, y1 + 5]])
        by_point = pipe(image, points=[centre], point_labels=[1])  # 1: foreground
        without = pipe(image, points=[centre], point_labels=[0])  # 0: background, which is excluded
    print(f"{len(everything)} segments; the box selects {len(by_box)}, with {by_box.masks().sum()} px")
    print(f"the point selects {len(by_point)} and excludes {len(everything) - len(without)}")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
