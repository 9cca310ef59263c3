"""Load TensorRT's or TensorRT-RTX's module, and create its runtimes and builders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from fastsam_engine.backends.tensorrt.api_protocol import TensorRtApi
from fastsam_engine.backends.tensorrt.error_log import LoggedErrors, error_log
from fastsam_engine.errors import BackendFailedError, BackendUnavailableError
from fastsam_engine.gpus import dotted, driver
from fastsam_engine.packages import load_module, version
from fastsam_engine.plans.plan_file import Flavour

if TYPE_CHECKING:
    import tensorrt as trt

UPDATE_DRIVER = "update the NVIDIA driver, or use --backend onnxruntime; see: fastsam-trt doctor"


@dataclass(frozen=True, slots=True)
class _Package:
    module: str
    distributions: tuple[str, ...]
    extra: str


_PACKAGES: dict[Flavour, _Package] = {
    "tensorrt": _Package("tensorrt", ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"), "tensorrt"),
    "tensorrt-rtx": _Package(
        "tensorrt_rtx", ("tensorrt-rtx", "tensorrt-rtx-cu13", "tensorrt-rtx-cu12"), "tensorrt-rtx"
    ),
}


def installed_version(flavour: Flavour) -> str:
    """Version of a flavour's package, without loading it; empty if it is not installed."""
    return next(filter(None, map(version, _PACKAGES[flavour].distributions)), "")


def install_command(flavour: Flavour) -> str:
    """The command that installs a flavour."""
    return f"pip install 'fastsam-trt[{_PACKAGES[flavour].extra}]'"


def driver_problem(flavour: Flavour) -> str:
    """Why the NVIDIA driver is too old for the package of a flavour; empty if it is not, or if there is no driver."""
    names = _PACKAGES[flavour].distributions
    majors = [int(name[-2:]) for name in names if name[-4:-2] == "cu" and version(name)]
    return driver().problem_for(majors[0]) if majors else ""


def create_runtime(api: TensorRtApi) -> trt.Runtime:
    """Create a runtime, which loads plans.

    Raises:
        BackendFailedError: TensorRT can't use the GPU, usually because the driver is too old.
    """
    log = error_log(api)
    try:
        with log.listening() as errors:
            return api.Runtime(log.logger)
    except TypeError as error:  # from the bindings, if the library returns nothing
        raise _unusable(api, "runtime", errors) from error


def create_builder(api: TensorRtApi) -> trt.Builder:
    """Create a builder, which builds plans.

    Raises:
        BackendFailedError: See `create_runtime`.
    """
    log = error_log(api)
    try:
        with log.listening() as errors:
            return api.Builder(log.logger)
    except TypeError as error:
        raise _unusable(api, "builder", errors) from error


def _unusable(api: TensorRtApi, what: str, errors: LoggedErrors) -> BackendFailedError:
    flavour: Flavour = "tensorrt-rtx" if hasattr(api, "ComputeCapability") else "tensorrt"
    found = driver()
    why = driver_problem(flavour) or "; ".join(found.problems)
    if not why and found.cuda is not None:
        why = f"found an NVIDIA driver for CUDA {dotted(found.cuda)}, which may be too old for this version"
    why = "; ".join(filter(None, (why, str(errors) if errors else "")))
    reason = f"it can't create a {what}, because it can't use the GPU{f' ({why})' if why else ''}"
    return BackendFailedError(flavour, reason, UPDATE_DRIVER)


def load(flavour: Flavour) -> TensorRtApi:
    """Load a flavour's module.

    Raises:
        BackendUnavailableError: It is not installed; or, a `BackendFailedError`, its libraries can't be loaded.
    """
    if not installed_version(flavour):
        raise BackendUnavailableError(flavour, "it is not installed", install_command(flavour))
    return cast("TensorRtApi", load_module(_PACKAGES[flavour].module, flavour, install_command(flavour)))
