"""Read the cache of huggingface_hub, in which other tools may have put a repository's files.

`HF_HOME` says where it is. With `HF_HUB_OFFLINE` it is the only source.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from fastsam_export.hub.file_check import check_content, hash_of_hub
from fastsam_export.hub.pull_errors import DownloadError, OfflineError
from fastsam_export.hub.repository import RemoteFile, Repository
from fastsam_export.hub.web_client import hub_settings


def is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` is set."""
    return bool(hub_settings().HF_HUB_OFFLINE)


def cache_folder() -> Path:
    """The folder of the cache, as `HF_HOME` and `HF_HUB_CACHE` say."""
    return Path(hub_settings().HF_HUB_CACHE)


def cached_repository(repository: str, revision: str) -> Repository:
    """What the cache has of a repository, at the commit that a revision meant when it was cached.

    Args:
        repository: Hub id.
        revision: Commit, tag or branch.

    Raises:
        OfflineError: It has nothing.
    """
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repos = scan_cache_dir(cache_folder()).repos
    except (CacheNotFound, OSError):
        repos = frozenset()
    for repo in repos:
        if repo.repo_type == "model" and repo.repo_id == repository:
            for found in repo.revisions:
                if revision == found.commit_hash or revision in found.refs:
                    files = [(each.file_path.relative_to(found.snapshot_path).as_posix(), each) for each in found.files]
                    known = {path: _described(path, each.blob_path, each.size_on_disk) for path, each in files}
                    page = f"{hub_settings().ENDPOINT}/{repository}"
                    return Repository(repository, found.commit_hash, page, "", known)
    raise OfflineError(repository, cache_folder())


def take_from_cache(repository: Repository, remote: RemoteFile, target: Path) -> bool:
    """Give a file of the cache a second name, or a copy on another file system.

    Args:
        repository: Its repository.
        remote: The file.
        target: Where the file goes.

    Returns:
        Whether the cache had it, and whole.
    """
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository.id, remote.path, revision=repository.commit)
    if not isinstance(found, str):
        return False
    source = Path(os.path.realpath(found))
    try:
        check_content(remote, source, hash_of_hub(remote))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    except (DownloadError, OSError):
        return False
    return True


def _described(path: str, blob: Path, size: int) -> RemoteFile:
    """A cached file; the cache names the content after its hash."""
    name = blob.name
    return RemoteFile(
        path,
        "",
        size,
        name if re.fullmatch(r"[0-9a-f]{64}", name) else "",
        name if re.fullmatch(r"[0-9a-f]{40}", name) else "",
    )
