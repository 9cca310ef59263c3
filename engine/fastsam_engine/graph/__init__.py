"""Facts read from ONNX graphs without the package onnx."""
