"""Adopt ready ONNX files of public hubs as models of this project. This needs no PyTorch."""
