"""Sinks: where results go."""

from fastsam_engine.store.atomic_files import check_writable, write_atomically
from fastsam_trt.sinks.coco import CocoSink
from fastsam_trt.sinks.coco_dataset import CocoDatasetSink
from fastsam_trt.sinks.json_lines import JsonLinesSink
from fastsam_trt.sinks.label_maps import LabelMapSink
from fastsam_trt.sinks.panels import PICTURE_SUFFIXES, PictureSink
from fastsam_trt.sinks.segment_pictures import CutoutSink, MaskSink
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sinks.video import VideoSink
from fastsam_trt.sinks.window import WindowSink
from fastsam_trt.sinks.yolo_labels import YoloLabelSink

__all__ = [
    "PICTURE_SUFFIXES",
    "CocoDatasetSink",
    "CocoSink",
    "CutoutSink",
    "JsonLinesSink",
    "LabelMapSink",
    "MaskSink",
    "PictureSink",
    "Sink",
    "VideoSink",
    "WindowSink",
    "YoloLabelSink",
    "check_writable",
    "write_atomically",
]
