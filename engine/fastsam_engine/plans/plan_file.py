"""Read and write plan files: a serialised plan, and beside it `<plan>.json` with its spec and how it was built.

ultralytics' `.engine` files are read, too: a four-byte length, metadata as JSON, then the plan. A plan contains code
that runs on the GPU, so plans are read only from paths that the user named and from the user's cache.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fastsam_engine.errors import ModelFileError, ModelNotFoundError
from fastsam_engine.plans.build_request import BuildOptions
from fastsam_engine.spec import ultralytics_metadata
from fastsam_engine.spec.json_reader import parse_json, read_json, shown
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.spec.spec_document import read_spec_document
from fastsam_engine.store.atomic_files import write_atomically

Flavour = Literal["tensorrt", "tensorrt-rtx"]
PLAN_SUFFIXES = (".plan", ".engine")
_BUILD_AGAIN = "build it again with: fastsam-trt build MODEL"
_SIDECAR_DIGEST = "sidecar_sha256"
_MOST_METADATA = 1 << 24  # bytes; metadata is never longer


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What a plan was built from and for.

    Attributes:
        backend: `tensorrt` or `tensorrt-rtx`.
        version: Of the backend; other versions can't run it, unless it was built to be version compatible.
        gpu: The GPU it was built on, or the targets it was built for.
        graph_sha256: Of the ONNX file.
        options: Of the build; None if they are not recorded.
        parity: How much its outputs differed from ONNX Runtime's; empty if there was no GPU to compare on.
    """

    backend: str = ""
    version: str = ""
    gpu: str = ""
    graph_sha256: str = ""
    options: BuildOptions | None = None
    parity: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan, its spec, and how it was built."""

    spec: ModelSpec
    facts: PlanFacts
    data: bytes = dataclasses.field(repr=False)


def is_plan(path: Path) -> bool:
    """Whether a path has the suffix of a plan."""
    return path.suffix.lower() in PLAN_SUFFIXES


def sidecar(path: Path) -> Path:
    """The file beside a plan that describes it."""
    return path.with_name(f"{path.name}.json")


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan and its sidecar, each atomically. If only one is written, reading refuses the pair.

    Raises:
        OutputError: A file can't be written.
    """
    document = json.loads(plan.spec.to_json())
    document["plan"] = {**dataclasses.asdict(plan.facts), "sha256": hashlib.sha256(plan.data).hexdigest()}
    document["plan"][_SIDECAR_DIGEST] = _digest(document)
    write_atomically(path, plan.data)
    write_atomically(sidecar(path), json.dumps(document, sort_keys=True).encode())


def read_plan(path: Path) -> Plan:
    """Read a plan of this project, or an `.engine` file of ultralytics.

    Raises:
        ModelNotFoundError: There is no such file.
        ModelFileError: It has no sidecar and no metadata, or is truncated or changed according to its sidecar.
    """
    if not path.is_file():
        raise ModelNotFoundError(str(path), path.parent)
    data = path.read_bytes()
    if not sidecar(path).is_file():
        return _read_ultralytics(path, data)
    spec, facts, expected = _read_sidecar(path)
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ModelFileError(
            path, f"expected the plan that its sidecar describes (sha256 {expected[:12]}...), found {len(data)} bytes "
            f"of another (sha256 {found[:12]}...): it is cut short or was changed", _BUILD_AGAIN,
        )  # fmt: skip
    return Plan(spec, facts, data)


def read_facts(path: Path) -> tuple[ModelSpec, PlanFacts]:
    """Spec and facts of a plan, without checking the plan against its checksum.

    Raises:
        ModelNotFoundError, ModelFileError: As `read_plan`.
    """
    if sidecar(path).is_file():
        spec, facts, _ = _read_sidecar(path)
        return spec, facts
    plan = read_plan(path)
    return plan.spec, plan.facts


def _read_sidecar(path: Path) -> tuple[ModelSpec, PlanFacts, str]:
    file = sidecar(path)
    try:
        if (size := file.stat().st_size) > _MOST_METADATA:
            raise ValueError(f"{size} bytes")  # noqa: TRY301
        document = parse_json(file.read_bytes())
        if not isinstance(document, dict) or not isinstance(document.get("plan"), dict):
            raise ValueError("no object with a field 'plan'")  # noqa: TRY301
        written = document["plan"].pop(_SIDECAR_DIGEST, None)
        if written not in (None, _digest(document)):
            raise ValueError("one that was changed after it was written")  # noqa: TRY301
        facts_document = document.pop("plan")
        expected = facts_document.pop("sha256", None)
        if not isinstance(expected, str):
            raise ValueError("no sha256 of the plan")  # noqa: TRY301
        spec, facts = read_spec_document(document), read_json(PlanFacts, facts_document, "plan")
        if facts.backend not in get_args(Flavour):
            known = " or ".join(get_args(Flavour))
            raise ValueError(f"expected a plan of {known}, found one of {shown(facts.backend)}")  # noqa: TRY301
    except ValueError as error:
        raise ModelFileError(file, f"expected a plan's sidecar, found another ({error})", _BUILD_AGAIN) from error
    return spec, facts, expected


def _digest(document: Mapping[str, object]) -> str:
    """A checksum of a sidecar's content, independent of JSON formatting."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _read_ultralytics(path: Path, data: bytes) -> Plan:
    length = int.from_bytes(data[:4], "little")
    metadata: object = None
    if len(data) > 4 and 0 < length <= min(len(data) - 4, _MOST_METADATA):
        with suppress(ValueError):
            metadata = parse_json(data[4 : 4 + length])
    if not isinstance(metadata, dict):
        raise ModelFileError(
            path,
            f"expected {sidecar(path).name} beside the plan, or an ultralytics .engine file, found neither",
            _BUILD_AGAIN,
        )
    texts = {str(key): str(value) for key, value in metadata.items()}
    if not ultralytics_metadata.is_ultralytics(texts):
        raise ModelFileError(path, f"expected ultralytics' metadata, found {', '.join(texts) or 'none'}", _BUILD_AGAIN)
    return Plan(ultralytics_metadata.read_spec(path, texts), PlanFacts("tensorrt"), data[4 + length :])
