"""Save label maps as PNG files in PASCAL VOC's colours: classes.png and instances.png.

python save_label_maps.py [PHOTO] [MODEL]
"""

import sys

import numpy as np

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors
from fastsam_trt.results.label_map import instance_map, label_map, save


def main(photo: str = "demo", model: str = "demo-seg") -> None:
    with Pipeline(model) as pipe, open_source(photo) as source:
        result = pipe(next(iter(source)).image)
    save("classes.png", label_map(result))  # 0 is background, else 1 + class id
    instances = instance_map(result)  # 0 is background, else 1 + index of the segment
    save("instances.png", instances)
    print(f"{len(np.unique(instances)) - 1} segments on {np.count_nonzero(instances)} px")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
