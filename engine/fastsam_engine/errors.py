"""Errors of the engine and base classes of all errors of this project.

A `RequestError` means that the request was wrong (exit code 2 on the command line), a `WorkError` that the work
failed (exit code 1). Every concrete error is also the builtin that Python users would catch. Its message is one line:
what was expected, what was found, and how to fix it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def one_line(error: Exception, which: int = 0) -> str:
    """One line of another library's message, the first or, with -1, the last; the error's class if there is none."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[which] if lines else type(error).__name__


def brief(text: str, most: int = 300) -> str:
    """Text from a file, fit for one line of a message: shortened, with unprintable characters escaped."""
    cut = text[:most] if len(text) > most else text
    printable = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in cut)
    return printable[:most] + ("..." if len(text) > most or len(printable) > most else "")


class FastsamError(Exception):
    """Base of all errors of this project."""

    exit_code = 1


class RequestError(FastsamError):
    """The request was wrong."""

    exit_code = 2


class WorkError(FastsamError):
    """The request was right, but the work failed."""

    exit_code = 1


class ModelNotFoundError(RequestError, FileNotFoundError):
    """There is no model of this name, folder or file."""

    def __init__(self, name: str, looked_in: Path, near: Iterable[str] = (), how_to_get: str = "") -> None:
        """Create the error.

        Args:
            name: What was requested.
            looked_in: The folder of installed models.
            near: Names that are similar.
            how_to_get: The commands that install a published model of this name; empty: there is none.
        """
        meant = f"did you mean {', '.join(near)}?" if near else "list what is installed with: fastsam-trt doctor"
        super().__init__(
            f"no model {name!r}: expected an ONNX file, a model folder or a name in {looked_in}; {how_to_get or meant}"
        )


class ModelFileError(RequestError, ValueError):
    """A model file can't be used."""

    def __init__(self, path: Path, found: str, fix: str = "export it again with: fastsam-trt export NAME") -> None:
        super().__init__(f"{path}: {brief(found)}; {fix}")


class ClassNamesError(ModelFileError):
    """The number of class names differs from the number of classes."""

    def __init__(self, path: Path, expected: int, found: int) -> None:
        super().__init__(
            path,
            f"expected {expected} class names, found {found}",
            "give a name for every class with --names FILE",
        )


class SpecVersionError(ModelFileError):
    """The file's spec has another schema version."""

    def __init__(self, path: Path, expected: int, found: str) -> None:
        super().__init__(
            path,
            f"expected a spec of schema version {expected}, found {found}",
            "export it again with this version: fastsam-trt export NAME",
        )


class UnknownBackendError(RequestError, ValueError):
    """There is no backend of this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"expected a backend among auto, {', '.join(known)}, found {brief(name, 80)!r}")


class BackendUnavailableError(RequestError, ImportError):
    """The requested backend, device or precision can't be used on this machine."""

    def __init__(self, name: str, reason: str, fix: str) -> None:
        super().__init__(f"backend {name!r} can't be used: {reason}; {fix}")


class BackendFailedError(BackendUnavailableError):
    """A backend seemed usable but failed for a reason of this machine, independent of the model."""


class PackagesMissingError(RequestError, ImportError):
    """A request needs packages that are not installed."""

    def __init__(self, packages: Iterable[str], extra: str) -> None:
        super().__init__(
            f"expected {', '.join(packages)} to be installed, found nothing; run: pip install 'fastsam-trt[{extra}]'"
        )


class PackageClashError(WorkError, RuntimeError):
    """Two installed distributions provide the same module."""

    def __init__(self, module: str, distributions: Iterable[str]) -> None:
        names = list(distributions)
        super().__init__(
            f"expected one distribution of {module!r}, found {' and '.join(names)}, which overwrite each other; "
            f"run: pip uninstall -y {' '.join(names)} && pip install {names[0]}  (or the one you need)"
        )


class InputMismatchError(WorkError, ValueError):
    """Arrays passed to a session do not fit the model's inputs."""

    def __init__(self, name: str, expected: str, found: str) -> None:
        super().__init__(f"input {name!r}: expected {expected}, found {found}")


class ThreadsError(RequestError, ValueError):
    """A number of threads is not available."""

    def __init__(self, most: int, why: str, found: object) -> None:
        super().__init__(
            f"threads: expected a whole number from 1 to {most} ({why}), found {found!r}; "
            "omit it to use the best number for this machine"
        )


class NotPicklableError(RequestError, TypeError):
    """An open model was pickled, which copying it or sending it to another process does."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"expected an object that can be copied or sent to another process, found an open {kind}; open one in each "
            f"process, for example in the initializer of a ProcessPoolExecutor, or share this one among threads"
        )


class ClosedError(WorkError, RuntimeError):
    """A model or session was used after it was closed."""

    def __init__(self, what: str, fix: str = "open it again") -> None:
        super().__init__(f"expected {what} to be open, found it closed; {fix}")


class ForkedError(WorkError, RuntimeError):
    """An open model was used in a fork of its process, which lacks the threads and locks that it needs."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"expected {what} to be used in the process that opened it, found a fork of that process; "
            "open the model in each process, or start processes with the 'spawn' method"
        )


class OutputError(RequestError, OSError):
    """A path can't be written."""

    def __init__(self, path: Path, found: str, fix: str = "choose another path") -> None:
        super().__init__(f"output {path}: {found}; {fix}")


class BuildRequestError(RequestError, ValueError):
    """The requested build is not possible."""

    def __init__(self, option: str, expected: str, found: object, fix: str = "see: fastsam-trt build --help") -> None:
        super().__init__(f"{option}: expected {expected}, found {found}; {fix}")


class BuildError(WorkError, RuntimeError):
    """A graph can't be built into a plan, or its plan computes something else."""

    def __init__(self, graph: Path, found: str, fix: str) -> None:
        super().__init__(f"{graph.name}: {found}; {fix}")


class BuildInterruptedError(KeyboardInterrupt):
    """A build was interrupted; nothing of it is kept. Not a `FastsamError`, since nothing went wrong."""

    def __init__(self, graph: Path) -> None:
        super().__init__(f"interrupted: the build of {graph.name} was stopped, and nothing of it is kept")


class OperatorFallbackError(RequestError, RuntimeError):
    """Operators would run on the CPU although a GPU was requested."""

    def __init__(self, device: str, operators: Mapping[str, int]) -> None:
        found = ", ".join(f"{name} ({count})" for name, count in operators.items())
        super().__init__(
            f"expected every operator on {device}, found on the CPU: {found}; "
            "allow it with open_session(..., cpu_fallback=True), or use --device cpu"
        )


class ComputeError(WorkError, RuntimeError):
    """Computing failed, for example because memory ran out."""

    def __init__(self, device: str, what: str, found: str, fix: str = "see: fastsam-trt doctor") -> None:
        super().__init__(f"{device}: {what} failed ({found}); {fix}")


class GpuError(ComputeError):
    """Work on a GPU failed."""
