"""Count the objects of a video, each once, however many frames show it.

python count_tracks.py [VIDEO] [PROMPT] [MODEL]
"""

import sys
from collections import Counter

from fastsam_trt import Pipeline
from fastsam_trt.cli import one_line_errors

LEAST_FRAMES = 3  # of a track that counts


def main(video: str = "demo", prompt: str = "circle", model: str = "demo-seg") -> None:
    frames_of: Counter[int] = Counter()
    with Pipeline(model, prompts=[prompt]) as pipe:
        for result in pipe.stream(video, track=True):
            frames_of.update(track_id for track_id in result.track_ids.tolist() if track_id >= 0)
    counted = {track_id: frames for track_id, frames in frames_of.items() if frames >= LEAST_FRAMES}
    print(f"{len(counted)} objects match {prompt!r}")
    for track_id, frames in sorted(counted.items()):
        print(f"track {track_id}: {frames} frames")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
