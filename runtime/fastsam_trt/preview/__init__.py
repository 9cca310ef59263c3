"""Serve a web page with the live overlay, the statistics, and settings that can be changed during the run.

    with PreviewServer(parse_address(":8080"), prompts, set_prompts, stats) as server, PreviewSink(server) as sink:
        for frame, result in ...:
            sink.write(frame, result)

The page requests the next image over a WebSocket once it has shown the last one. So every client gets the newest
image as fast as it can show it, and no images queue up. `multipart/x-mixed-replace` streams have no such flow
control, and in several versions of Safari they stop after the first image or after a switch to another app.
"""

from fastsam_trt.preview.controls import Controls, LiveThresholds, PipelineControls, Region
from fastsam_trt.preview.server import PreviewServer
from fastsam_trt.preview.sink import PreviewSink
from fastsam_trt.web.address import Address, parse_address

__all__ = [
    "Address",
    "Controls",
    "LiveThresholds",
    "PipelineControls",
    "PreviewServer",
    "PreviewSink",
    "Region",
    "parse_address",
]
