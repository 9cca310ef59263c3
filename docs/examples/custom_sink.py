"""Write results in a format of your own: a sink takes frames and results, and finishes its file.

python custom_sink.py [SOURCE] [PROMPT] [MODEL]
"""

import csv
import sys

from fastsam_trt import Pipeline, Result, open_source
from fastsam_trt.cli import one_line_errors
from fastsam_trt.sinks import Sink
from fastsam_trt.sources import Frame
from fastsam_trt.streaming import Flow


class CsvSink(Sink):
    def __init__(self, path: str) -> None:
        self._file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._rows = csv.writer(self._file)
        self._rows.writerow(["frame", "track", "x0", "y0", "x1", "y1", "area_px"])

    def write(self, frame: Frame, result: Result) -> None:
        for segment in result:
            self._rows.writerow([frame.index, segment.track_id, *segment.box.round(1), segment.mask.sum()])

    def close(self) -> None:
        self._file.close()


def main(source: str = "demo", prompt: str = "red circle", model: str = "demo-seg") -> None:
    pipe = Pipeline(model, prompts=[prompt], track=True)
    with pipe, open_source(source) as frames, CsvSink("segments.csv") as sink, Flow(frames, pipe) as flow:
        for frame, result in flow:
            sink.write(frame, result)
    print("saved segments.csv")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
