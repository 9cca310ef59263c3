"""Fetch ready ONNX files from public hubs and web addresses, and install them. This needs no PyTorch."""
