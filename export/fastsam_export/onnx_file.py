"""Write the spec into an ONNX file, hash weights, and list package versions."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from fastsam_engine.spec.model_spec import METADATA_KEY, ModelSpec


def write_spec(path: Path, spec: ModelSpec) -> None:
    """Write a spec into the metadata of an ONNX file, replacing an earlier one."""
    import onnx

    model = onnx.load(str(path))
    kept = {entry.key: entry.value for entry in model.metadata_props}
    kept[METADATA_KEY] = spec.to_json()
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, str(path))


def sha256(path: Path) -> str:
    """SHA-256 of a file, or of the weights files of a folder in order of their names; empty if there are none."""
    files = (
        [path] if path.is_file() else sorted(each for each in path.glob("*") if each.suffix in (".safetensors", ".bin"))
    )
    digest = hashlib.sha256()
    for each in files:
        with each.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest() if files else ""


def versions(*packages: str) -> dict[str, str]:
    """Versions of the packages that take part in an export."""
    return {package: metadata.version(package) for package in ("fastsam-trt", "torch", "onnx", *packages)}
