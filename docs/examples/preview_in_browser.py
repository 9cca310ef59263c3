"""Show a webcam or the demo at http://127.0.0.1:8080/, a page where prompts, boxes and thresholds can be changed.

pip install 'fastsam-trt[cpu,preview]'
python preview_in_browser.py [SOURCE] [PROMPT] [PORT] [MODEL]
"""

import sys
from collections.abc import Sequence

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors
from fastsam_trt.preview import PipelineControls, PreviewServer, PreviewSink, parse_address
from fastsam_trt.streaming import Flow


def main(source: str = "demo", prompt: str = "red circle", port: str = "8080", model: str = "demo-seg") -> None:
    pipe = Pipeline(model, prompts=[prompt], track=True)

    def set_prompts(prompts: Sequence[str]) -> None:
        pipe.prompts = prompts

    with pipe, open_source(source) as frames:
        flow = Flow(frames, pipe, policy="latest")
        server = PreviewServer(
            parse_address(port), lambda: pipe.prompts, set_prompts, lambda: flow.stats.snapshot().as_record(),
            controls=PipelineControls(lambda: pipe),
        )  # fmt: skip
        with server, PreviewSink(server) as sink, flow:
            print(f"open {server.url}", flush=True)
            for frame, result in flow:
                sink.write(frame, result)


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
