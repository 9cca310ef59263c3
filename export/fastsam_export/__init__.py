"""The export wing: PyTorch models to ONNX files that explain themselves, each with its proof of parity."""

from fastsam_export.errors import ExportError, ParityError, WeightsNotFoundError
from fastsam_export.exporter import Exported, ExportRequest, export_model

__all__ = ["ExportError", "ExportRequest", "Exported", "ParityError", "WeightsNotFoundError", "export_model"]
