"""List the files of a hub's repository at one commit, with the sizes and hashes that the hub states."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastsam_engine.errors import brief
from fastsam_export.hub.pull_errors import HubAnswerError
from fastsam_export.hub.web_client import Wanted, WebClient

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to download, and what its server states about it.

    Attributes:
        path: Path in its repository, with `/`; for other files, their name.
        address: Web address.
        size: Bytes; None: not stated.
        sha256: Of the content, 64 hexadecimal digits; empty: not stated.
        git_sha1: Id of the content as a git blob, 40 hexadecimal digits; empty: not stated.
    """

    path: str
    address: str
    size: int | None = None
    sha256: str = ""
    git_sha1: str = ""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit.

    Attributes:
        id: Hub id, `org/repo`.
        commit: 40 hexadecimal digits.
        page: Web address for people.
        licence: As the repository states it; empty if it does not.
        files: By path.
    """

    id: str
    commit: str
    page: str
    licence: str
    files: Mapping[str, RemoteFile]


def list_repository(client: WebClient, repository: str, revision: str) -> Repository:
    """Ask the hub for a repository's files.

    Args:
        client: Sends the request.
        repository: Hub id.
        revision: Commit, tag or branch.

    Raises:
        HubAnswerError: The hub answers with something else.
        The other errors of `WebClient.stream`.
    """
    address = f"{client.endpoint}/api/models/{repository}/revision/{quote(revision, safe='')}?blobs=true"
    document = client.json(address, Wanted(repository, repository, revision))
    host = client.hub_host

    def part(value: object, kind: type, what: str) -> Any:
        if not isinstance(value, kind):
            raise HubAnswerError(host, f"{what} of {repository}", brief(repr(value), 60))
        return value

    facts = part(document, dict, "a description")
    commit = part(facts.get("sha"), str, "the commit")
    if not _COMMIT.fullmatch(commit):
        raise HubAnswerError(host, f"the commit of {repository}", repr(commit))
    files = {}
    for entry in part(facts.get("siblings"), list, "a list of the files"):
        path = part(part(entry, dict, "a file").get("rfilename"), str, "the name of a file")
        if not _is_inside(path):
            continue  # such a file could be written anywhere, and no model needs one
        lfs = entry.get("lfs") if isinstance(entry.get("lfs"), dict) else {}
        size = lfs.get("size", entry.get("size"))
        files[path] = RemoteFile(
            path,
            f"{client.endpoint}/{repository}/resolve/{commit}/{quote(path)}",
            size if type(size) is int and size >= 0 else None,
            _matching(_SHA256, lfs.get("sha256")),
            "" if lfs else _matching(_COMMIT, entry.get("blobId")),
        )
    return Repository(repository, commit, f"{client.endpoint}/{repository}", _licence(facts), files)


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(parts) and ":" not in parts[0]


def _matching(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def _licence(facts: Mapping[str, Any]) -> str:
    """The licence of the model card, or of the repository's tags."""
    card = facts.get("cardData")
    named = [card.get(key) for key in ("license", "license_name", "license_link")] if isinstance(card, dict) else []
    texts = [brief(text, 100) for text in named if isinstance(text, str) and text]
    if not texts and isinstance(tags := facts.get("tags"), list):
        texts = [brief(tag[8:], 100) for tag in tags if isinstance(tag, str) and tag.startswith("license:")]
    return ", ".join(text for text in texts if text != "other") or ", ".join(texts)
