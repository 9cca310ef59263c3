"""Export PyTorch models to self-describing ONNX files, each with a record of its parity with PyTorch."""

from pathlib import Path

from fastsam_engine.import_names import keep_old_paths
from fastsam_export.errors import ExportError, ParityError, SplitError, WeightsNotFoundError
from fastsam_export.exporter import Exported, ExportRequest, cut_model, export_model
from fastsam_export.hub.pull import pull_model

__all__ = [
    "ExportError",
    "ExportRequest",
    "Exported",
    "ParityError",
    "SplitError",
    "WeightsNotFoundError",
    "cut_model",
    "export_model",
    "pull_model",
]
keep_old_paths(__name__, Path(__file__).parent)
