"""Sinks: write results to files, or show them."""

from fastsam_engine.import_names import renamed_names
from fastsam_engine.store.atomic_files import check_writable, write_atomically
from fastsam_trt.frames.image_writer import SAVED_IMAGE_SUFFIXES
from fastsam_trt.sinks.coco_dataset import CocoDatasetSink
from fastsam_trt.sinks.coco_results import CocoSink
from fastsam_trt.sinks.json_lines import JsonLinesSink
from fastsam_trt.sinks.label_map_files import LabelMapSink
from fastsam_trt.sinks.overlay_images import OverlaySink, PanelSink
from fastsam_trt.sinks.segment_images import CutoutSink, MaskSink
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sinks.video.video_sink import VideoSink
from fastsam_trt.sinks.window import WindowSink
from fastsam_trt.sinks.yolo_label_files import YoloLabelSink

__all__ = [
    "SAVED_IMAGE_SUFFIXES",
    "CocoDatasetSink",
    "CocoSink",
    "CutoutSink",
    "JsonLinesSink",
    "LabelMapSink",
    "MaskSink",
    "OverlaySink",
    "PanelSink",
    "Sink",
    "VideoSink",
    "WindowSink",
    "YoloLabelSink",
    "check_writable",
    "write_atomically",
]

__getattr__ = renamed_names(__name__, {"PictureSink": "PanelSink", "PICTURE_SUFFIXES": "SAVED_IMAGE_SUFFIXES"})
