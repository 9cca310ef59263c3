"""The metadata of an ONNX file that ultralytics exported."""

from __future__ import annotations

ULTRALYTICS = {
    "description": "Ultralytics YOLOv8n-seg model trained on coco.yaml",
    "author": "Ultralytics",
    "version": "8.4.0",
    "license": "AGPL-3.0 License",
    "stride": "32",
    "task": "segment",
    "batch": "1",
    "imgsz": "[256, 256]",
    "names": "{0: 'red', 1: 'green', 2: 'blue'}",
    "args": "{'batch': 1, 'half': False, 'dynamic': True, 'simplify': True, 'nms': False}",
    "channels": "3",
    "end2end": "False",
}
