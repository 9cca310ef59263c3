"""AdoptedFrom: where a ready ONNX file comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdoptedFrom:
    """Where a ready model comes from; it is recorded in the source of its spec.

    Attributes:
        repository: Hub id, `org/repo`; empty for a file that is no part of a hub's repository.
        revision: Commit of the repository, as the hub states it; empty if unknown.
        file: Path of the ONNX file within the repository, such as `onnx/model.onnx`.
        address: Web address of the repository or file.
        licence: As the repository states it; empty if it does not.
    """

    repository: str
    revision: str
    file: str
    address: str
    licence: str = ""
