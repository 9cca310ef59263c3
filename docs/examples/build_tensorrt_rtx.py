"""Build a TensorRT-RTX engine for GPUs that need not be in this machine.

pip install 'fastsam-trt[tensorrt-rtx]'
python build_tensorrt_rtx.py [MODEL] [TARGET] [FILE]
"""

import sys
from pathlib import Path

from fastsam_engine import choose_builder, find_graph, read_spec
from fastsam_engine.plans.build_request import BuildOptions, BuildRequest
from fastsam_trt.bundled_models import locate
from fastsam_trt.cli import one_line_errors


def main(model: str = "demo-seg", target: str = "sm89", file: str = "engine.plan") -> None:
    graph = find_graph(locate(model))
    options = BuildOptions(targets=(target,), optimization_level=0)  # 0 builds fast; 5 runs fast
    request = BuildRequest(graph, read_spec(graph), imgsz=(384, 640), options=options, out=Path(file))
    builder = choose_builder("tensorrt-rtx", targets=[target])
    report = builder.build(request, "auto", lambda phase, done, of: print(f"{phase}: {done} of {of}"))
    print(f"{report.path}: {report.size / 1e6:.1f} MB for {report.target}")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
