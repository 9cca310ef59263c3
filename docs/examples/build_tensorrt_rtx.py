"""Build a TensorRT-RTX engine for GPUs that need not be in this machine, and show its file.

    pip install 'fastsam-trt[tensorrt-rtx]'
    python build_tensorrt_rtx.py [MODEL] [TARGET] [FOLDER]
"""
