"""TensorRT and TensorRT-RTX: plans built from ONNX graphs, kept, and run. One code for both nearly equal APIs."""
