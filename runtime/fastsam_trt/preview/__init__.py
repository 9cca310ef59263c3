"""The preview: a page with the live overlay, the figures, and prompts that can be changed while the run goes on.

    with PreviewServer(parse_address(":8080"), prompts, set_prompts, figures) as server, PreviewSink(server) as sink:
        for frame, result in ...:
            sink.write(frame, result)

The page asks for each picture when it has shown the one before, over a WebSocket, so every client gets the newest
picture at the pace that it can keep, and none is queued for it. Streams of `multipart/x-mixed-replace` have no such
pace, and stop after the first picture, or after a change of app, in several versions of Safari.
"""

from fastsam_trt.preview.address import Address, parse_address
from fastsam_trt.preview.server import PreviewServer
from fastsam_trt.preview.sink import PreviewSink

__all__ = ["Address", "PreviewServer", "PreviewSink", "parse_address"]
