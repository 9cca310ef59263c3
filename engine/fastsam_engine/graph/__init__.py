"""Read facts from ONNX graphs without the package onnx."""
