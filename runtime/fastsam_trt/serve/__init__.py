"""Serve segmentation over HTTP on one machine, with a page to drop a photo on.

    with Pipeline("yolov8n-seg") as pipeline, SegmentServer(Address("127.0.0.1", 8000)) as server:
        server.use(pipeline)
        server.wait()

`POST /v1/segment` takes a form or JSON, and answers with JSON, an overlay or a label map; `GET /openapi.json` describes
it. The event loop only moves bytes: requests are parsed, and images decoded, segmented and encoded, on a few threads.
"""

from fastsam_trt.serve.access_rules import AccessRules
from fastsam_trt.serve.limits import Limits
from fastsam_trt.serve.server import SegmentServer
from fastsam_trt.web.address import Address

__all__ = ["AccessRules", "Address", "Limits", "SegmentServer"]
