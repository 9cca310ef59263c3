"""Measure the speed of your own loop: median time of each stage, and frames per second.

python measure_fps.py [SOURCE] [PROMPT] [MODEL]
"""

import sys
import time

import numpy as np

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors


def main(source: str = "demo", prompt: str = "red circle", model: str = "demo-seg") -> None:
    with open_source(source, vid_stride=10) as frames:
        images = [frame.image for frame in frames]
    with Pipeline(model, prompts=[prompt]) as pipe:
        pipe.warmup(images[0].shape)  # or the first call would compile and load
        start_s, results = time.perf_counter(), []
        for image in images:
            results.append(pipe(image))
            results[-1].masks()  # masks are decoded on first use: without this they are not timed
        seconds = time.perf_counter() - start_s
    for stage in results[0].speed:
        print(f"{stage:10} {np.median([result.speed[stage] for result in results]):7.2f} ms")
    print(f"{len(results)} frames, {len(results) / seconds:.1f} FPS")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
