"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fastsam_engine.backends.registry import Backend, Readiness, register
from fastsam_engine.errors import BackendUnavailableError, ModelFileError, one_line
from fastsam_engine.model_spec import ModelSpec, Precision
from fastsam_engine.packages import check_single_owner, owners, version
from fastsam_engine.session import Array, Session, check_names

if TYPE_CHECKING:
    import onnxruntime

_PROVIDERS = {"cpu": "CPUExecutionProvider"}


@register
class OnnxRuntimeBackend(Backend):
    """ONNX Runtime; computes in the graph's own precision, save that the processor's provider runs fp16 in fp32."""

    name = "onnxruntime"

    def readiness(self) -> Readiness:
        check_single_owner("onnxruntime")
        installed = owners("onnxruntime")
        if not installed:
            return Readiness("", (), "onnxruntime is not installed", "pip install 'fastsam-trt[cpu]'")
        return Readiness(version(installed[0]), tuple(_PROVIDERS), "runs every graph as it was exported", speed_rank=50)

    def open(self, path: Path, spec: ModelSpec, device: str, precision: str, *, frames: bool) -> Session:
        if precision not in ("auto", _computed(spec)):
            raise BackendUnavailableError(
                self.name,
                f"it computes this graph, which is {spec.precision}, in {_computed(spec)}, not in {precision}",
                "use --precision auto, or another backend",
            )
        import onnxruntime

        provider = _PROVIDERS["cpu" if device == "auto" else device]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
        except Exception as error:  # the library's own exceptions share no base but Exception
            raise ModelFileError(path, f"ONNX Runtime can't load it ({one_line(error)})") from error
        got = session.get_providers()[0]
        if got != provider:
            raise BackendUnavailableError(self.name, f"expected {provider}, got {got}", "see: fastsam-trt doctor")
        return OnnxRuntimeSession(path, spec, session)


class OnnxRuntimeSession(Session):
    """A graph on ONNX Runtime; every run returns new arrays."""

    def __init__(self, path: Path, spec: ModelSpec, session: onnxruntime.InferenceSession) -> None:
        super().__init__(path, spec, OnnxRuntimeBackend.name, "cpu", _computed(spec))
        self._session = session
        check_names(path, spec, (i.name for i in session.get_inputs()), (o.name for o in session.get_outputs()))
        self._outputs = [output.name for output in spec.outputs]

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))


def _computed(spec: ModelSpec) -> Precision:
    """What the processor's provider computes a graph in: it casts around fp16, for which it has hardly a kernel."""
    return "fp32" if spec.precision == "fp16" else spec.precision
