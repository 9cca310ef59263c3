"""Save COCO results with RLE masks (results.json) and YOLO labels (labels/*.txt) for a video.

python save_datasets.py [SOURCE] [PROMPT] [MODEL]
"""

import json
import sys
from pathlib import Path

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors
from fastsam_trt.results.coco import CocoRecord


def main(source: str = "demo", prompt: str = "red circle", model: str = "demo-seg") -> None:
    records: list[CocoRecord] = []
    labels = Path("labels")
    labels.mkdir(exist_ok=True)
    with Pipeline(model, prompts=[prompt]) as pipe, open_source(source, vid_stride=10) as frames:
        for frame in frames:
            result = pipe(frame.image)
            records += result.to_coco(image_id=frame.index)
            (labels / f"{frame.index:06}.txt").write_text(result.to_yolo())
    Path("results.json").write_text(json.dumps(records))
    print(f"{len(records)} records in results.json, {len(list(labels.iterdir()))} files in {labels}/")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
