"""`fastsam-trt doctor`: show what is installed on this machine, and what is wrong with it."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

from fastsam_engine.backends import all_backends
from fastsam_engine.cpu_count import CpuCount
from fastsam_engine.errors import PackageClashError
from fastsam_engine.gpus import dotted, driver
from fastsam_engine.packages import CLASHES, check_single_owner, version
from fastsam_engine.plans.engine_cache import EngineCache
from fastsam_engine.store.home_folder import home
from fastsam_engine.store.model_store import installed, models_folder
from fastsam_trt import __version__
from fastsam_trt.bundled_models import CLIP, SEGMENTER, BundledModelError, locate
from fastsam_trt.cli.text_table import table

_PACKAGES = ("numpy", "opencv-python", "tokenizers", "onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt",
             "tensorrt-rtx-cu13", "cuda-core", "huggingface_hub", "onnx", "torch", "transformers",
             "ultralytics")  # fmt: skip
_DAY_S = 86400

_EXAMPLES = """\
examples:
  # packages, GPUs, backends, models and engines
  fastsam-trt doctor
  # remove engines that were not used for 30 days
  fastsam-trt doctor --prune 30
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "--prune", type=float, metavar="DAYS", nargs="?", const=0.0,
        help="first remove engines not used for DAYS days (without DAYS: all engines), and files of interrupted builds",
    )  # fmt: skip
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print the state of the installation; 1 if there is a problem."""
    problems = []
    engines = EngineCache()
    if args.prune is not None:
        print(f"removed {engines.prune(args.prune * _DAY_S) / 1e6:.1f} MB from {engines.folder}\n")
    print(f"fastsam-trt {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(f"{platform.machine()}, {CpuCount.of_process()}\n")
    print(table(("package", "version"), [(name, version(name) or "-") for name in _PACKAGES]), end="\n\n")
    problems += _print_gpus()
    if not _print_backends():
        problems.append("no backend can be used; run: pip install 'fastsam-trt[cpu]'")
    for module in CLASHES:
        try:
            check_single_owner(module)
        except PackageClashError as error:
            problems.append(str(error))
    for name in (SEGMENTER, CLIP):
        try:
            locate(name)
        except BundledModelError as error:
            problems.append(str(error))
    models = [(name, f"{_megabytes(models_folder() / name):.1f} MB") for name in installed()]
    print(f"models of the package: {SEGMENTER}, {CLIP}")
    print(f"models in {models_folder()}: {'' if models else 'none; get one with: fastsam-trt pull fastsam-s'}")
    if models:
        print(table(("model", "size"), models))
    _print_engines(engines)
    cache = home() / "text-features"
    print(f"text embeddings in {cache}: {sum(1 for _ in cache.glob('*.npy'))}, {_megabytes(cache):.1f} MB")
    for problem in problems:
        print(f"fastsam-trt: problem: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _print_backends() -> bool:
    """Print the devices of the backends and remarks, one per line; return whether any backend can be used."""
    rows = []
    for name, backend in all_backends().items():
        try:
            readiness = backend.readiness()
        except PackageClashError:
            rows.append((name, "-", "packages clash, see below"))
            continue
        missing = readiness.missing if readiness.devices and readiness.missing not in readiness.reason else ""
        first, *more = "; ".join(filter(None, (readiness.reason, readiness.fix, missing))).split("; ")
        rows.append((name, ", ".join(readiness.devices) or "-", first))
        rows += [("", "", remark) for remark in more]
    print(table(("backend", "devices", "remark"), rows), end="\n\n")
    return any(devices not in ("", "-") for _, devices, _ in rows)


def _print_gpus() -> list[str]:
    """Print the NVIDIA driver and its GPUs, and return their problems."""
    nvidia = driver()
    if nvidia.cuda is None:
        print(f"GPUs: none; {'; '.join(nvidia.problems)}\n")
        return []
    print(f"NVIDIA driver {nvidia.release or 'of unknown version'}, for CUDA {dotted(nvidia.cuda)} and earlier")
    rows = [
        (
            gpu.device,
            gpu.name,
            dotted(gpu.compute_capability),
            f"{gpu.memory_bytes / 2**30:.1f} GiB" if gpu.memory_bytes else "-",
            "MIG slice" if gpu.mig_profile else "whole GPU",
        )
        for gpu in nvidia.gpus
    ]
    if rows:
        print(table(("GPU", "name", "capability", "memory", "kind"), rows))
    elif not nvidia.is_broken:
        print(f"GPUs: none; {'; '.join(nvidia.problems)}")
    print()
    return list(nvidia.problems) if nvidia.is_broken else []


def _print_engines(cache: EngineCache) -> None:
    entries = cache.entries()
    print(f"engines in {cache.folder}: {len(entries)}, {_megabytes(cache.folder):.1f} MB")
    rows = [
        (
            entry.path.stem,
            f"{entry.size / 1e6:.1f} MB",
            f"{(time.time() - entry.used_s) / _DAY_S:.0f} days ago",
            entry.description,
        )
        for entry in entries
    ]
    if rows:
        print(table(("engine", "size", "last used", "what"), rows))


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
