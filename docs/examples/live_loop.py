"""Loop over live video and print statistics: frames per second, age of frames, dropped frames.

python live_loop.py [SOURCE] [PROMPT] [MODEL]
"""

import sys

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors
from fastsam_trt.streaming import Flow


def main(source: str = "demo", prompt: str = "red circle", model: str = "demo-seg") -> None:
    with (
        Pipeline(model, prompts=[prompt], track=True) as pipe,
        open_source(source) as frames,
        Flow(frames, pipe, policy="latest") as flow,  # the newest frame; older ones are dropped
    ):
        for frame, result in flow:
            print(f"frame {frame.index}: {result.track_ids.tolist()}, {result.speed['total']:.1f} ms")
        stats = flow.stats.snapshot()
    print(f"{stats.frames} frames at {stats.fps_out_mean:.1f} FPS, {stats.dropped} dropped")
    print(f"age p50 {stats.age_p50_ms:.0f} ms, p99 {stats.age_p99_ms:.0f} ms")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
