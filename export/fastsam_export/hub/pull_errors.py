"""Errors of pulling a model: those of the request, of the hub, of a download, and of its installation."""

from __future__ import annotations

from pathlib import Path

from fastsam_engine.errors import RequestError, WorkError, brief

_TRY_AGAIN = "what was downloaded is kept: run the same command again to go on"


class PullRequestError(RequestError, ValueError):
    """A model can't be pulled as requested."""


class HubSettingsError(RequestError, ValueError):
    """An environment variable of huggingface_hub or of its HTTP library has a value that it can't use."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"environment: expected settings that huggingface_hub can use, found {brief(found)}; check "
            "HF_HUB_DOWNLOAD_TIMEOUT, HF_HUB_ETAG_TIMEOUT, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE"
        )


class NotOnnxError(RequestError, ValueError):
    """A file is no ONNX file."""

    def __init__(self, file: str, found: str, fix: str) -> None:
        super().__init__(f"{file}: expected an ONNX file, found {brief(found)}; {fix}")


class NotOnHubError(RequestError, FileNotFoundError):
    """A repository, a revision or a file that is not there, or that this user may not see."""

    def __init__(self, what: str, where: str, fix: str) -> None:
        super().__init__(f"{what}: expected it at {where}, found none; {fix}")


class GatedModelError(RequestError, PermissionError):
    """A repository whose licence this user has not accepted, or that needs another token."""

    def __init__(self, repository: str, page: str, has_token: bool) -> None:
        token = "check that the token in HF_TOKEN may read it" if has_token else "give your token in HF_TOKEN"
        super().__init__(
            f"{repository}: expected access to a repository whose licence must be accepted, found none; "
            f"accept it at {page}, and {token}, or log in with: hf auth login"
        )


class TokenRefusedError(RequestError, PermissionError):
    """The hub does not accept the token."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host}: expected a valid token, found that the hub refuses it; correct or unset HF_TOKEN, or log in "
            "again with: hf auth login"
        )


class OfflineError(RequestError, ConnectionError):
    """`HF_HUB_OFFLINE` is set, and the files are not in the hub's cache."""

    def __init__(self, what: str, looked_in: Path | None) -> None:
        where = f"in the hub's cache {looked_in}" if looked_in else "on this machine"
        super().__init__(f"{what}: expected its files {where} since HF_HUB_OFFLINE is set, found none; unset it")


class HubUnreachableError(WorkError, ConnectionError):
    """A host can't be reached, does not answer in time, or is out of order."""

    def __init__(self, host: str, found: str, fix: str = "") -> None:
        super().__init__(
            f"{host}: expected an answer, found {brief(found)}; check the network, HTTPS_PROXY and HF_ENDPOINT; "
            f"{fix or _TRY_AGAIN}"
        )


class HubAnswerError(WorkError, ValueError):
    """A host answers with something else than what a hub sends."""

    def __init__(self, host: str, expected: str, found: str) -> None:
        super().__init__(
            f"{host}: expected {expected}, found {brief(found)}; a proxy or a login page may answer instead: "
            "open the address in a browser, and check HF_ENDPOINT"
        )


class DownloadError(WorkError, OSError):
    """A download ended early, or its content is not what the hub states."""

    def __init__(self, file: str, expected: str, found: str, fix: str = _TRY_AGAIN) -> None:
        super().__init__(f"{file}: expected {expected}, found {found}; {fix}")


class NoRoomError(WorkError, OSError):
    """The disk has no room for a model."""

    def __init__(self, folder: Path, needed: int, free: int) -> None:
        super().__init__(
            f"{folder}: expected {needed / 1e6:.0f} MB of free space for the download and the model made of it, "
            f"found {free / 1e6:.0f} MB; make room, or set FASTSAM_TRT_HOME to a folder on another disk"
        )


class AlreadyInstalledError(RequestError, FileExistsError):
    """There is a model of this name."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(
            f"{name}: expected a name that is free, found a model in {folder}; replace it with --overwrite, or give "
            "this one another name with --as NAME"
        )


class PullInterruptedError(KeyboardInterrupt):
    """A download was interrupted. Not a `FastsamError`, since nothing went wrong."""

    def __init__(self) -> None:
        super().__init__(f"interrupted: nothing was installed; {_TRY_AGAIN}")
