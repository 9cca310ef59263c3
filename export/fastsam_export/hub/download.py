"""Download a file, and go on with it after an interruption.

`FILE.part` beside the target holds what has arrived, and `FILE.etag` the version of a file whose server states no hash
beforehand. Both stay when a download fails or is interrupted; the next one requests the rest. A file gets its name when
its size and hash are those that the server states.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from fastsam_engine.errors import OutputError
from fastsam_export.hub.file_check import FIRST_BYTES, check_content, check_kind, hash_of_headers, hash_of_hub
from fastsam_export.hub.pull_errors import DownloadError, HubUnreachableError
from fastsam_export.hub.repository import RemoteFile
from fastsam_export.hub.web_client import Wanted, WebClient

Progress: TypeAlias = Callable[[int], None]
"""Called with how many bytes of the file are there, as they grow; fewer than before after a new start."""

MOST_BYTES = 16 << 30
_WAIT_S = 0.5
"""Before the next request; twice as long each time that one brings nothing."""
_PATIENCE_S = 10.0
"""How long requests may bring nothing after one that did."""
_MOST_TRIES = 50
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Download:
    """The download of one file.

    Attributes:
        transferred: Bytes that were transferred so far.
    """

    def __init__(self, client: WebClient, remote: RemoteFile, wanted: Wanted, target: Path) -> None:
        """Prepare it; nothing is requested yet.

        Args:
            client: Sends the requests.
            remote: The file.
            wanted: What the file is for, for messages.
            target: Where the file goes.
        """
        self.transferred = 0
        self._client, self._remote, self._wanted, self._target = client, remote, wanted, target
        self._part = target.with_name(f"{target.name}.part")
        self._etag = target.with_name(f"{target.name}.etag")
        self._stated = hash_of_hub(remote)
        self._is_stated_by_hub = self._stated is not None

    def run(self, progress: Progress = lambda _: None) -> None:
        """Download what is missing, and check the whole.

        A file that is there is checked, or, if no hash is known, requested again unless it is still the same version.
        An interrupted transfer goes on where it stopped. The first request is not repeated; after one that brought
        something, others are, until they have brought nothing for ten seconds.

        Raises:
            HubUnreachableError: The server can't be reached, or brings nothing any more.
            DownloadError: The file differs from what the server states.
            NotOnnxError: It is of another kind.
            OutputError: It can't be written.
            The other errors of `WebClient.stream`.
        """
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            if self._target.is_file():
                self._target.replace(self._part)
            was_begun = self._part.is_file()
            self._transfer(progress)
            try:
                self._check()
            except DownloadError:
                if not was_begun:
                    raise
                self._transfer(progress)  # what was there before was damaged, or belongs to another version
                self._check()
            self._part.replace(self._target)
        except OSError as error:
            if error.errno is None:  # an error of this package
                raise
            found = f"it can't be written ({error.strerror})"
            raise OutputError(self._target, found, "make room, or set FASTSAM_TRT_HOME to another folder") from error

    def _transfer(self, progress: Progress) -> None:
        """Request the file until it is complete, and give up when requests bring nothing."""
        most, wait_s, broken_s = self._there(), _WAIT_S, None
        for _ in range(_MOST_TRIES):
            try:
                self._request(progress)
            except HubUnreachableError:
                there, now_s = self._there(), time.monotonic()
                if there > most:
                    most, wait_s, broken_s = there, _WAIT_S, now_s
                elif broken_s is None or now_s - broken_s >= _PATIENCE_S:
                    raise
                time.sleep(wait_s)
                wait_s *= 2
            else:
                return
        raise DownloadError(self._remote.path, "a whole file", f"{_MOST_TRIES} interruptions")

    def _check(self) -> None:
        """Check the whole, and delete it if it is wrong."""
        try:
            check_content(self._remote, self._part, self._stated)
        except DownloadError:
            self._forget()
            raise

    def _there(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        self._etag.unlink(missing_ok=True)

    def _request(self, progress: Progress) -> None:
        """Request what is missing, and append it; everything, if the server can't go on with what is there."""
        there, version = self._there(), self._version()
        if self._is_stated_by_hub:
            if there and there == self._remote.size:
                progress(there)
                return
            if self._remote.size is not None and there > self._remote.size:
                there = 0
        elif not version:
            there = 0  # nothing tells whether the rest would belong to it
        if not self._receive(there, version, progress):
            self._forget()
            self._receive(0, "", progress)

    def _receive(self, there: int, version: str, progress: Progress) -> bool:
        """Request a file from a byte on, and append it.

        Args:
            there: The byte.
            version: Which version of the file; empty: any.
            progress: See `run`.

        Returns:
            False: the server sends something else than was requested.
        """
        headers = {"Accept-Encoding": "identity"}
        if there:
            headers |= {"Range": f"bytes={there}-"} | ({"If-Range": version} if version else {})
        with self._client.stream(self._remote.address, self._wanted, headers) as response:
            begin, total = _range(response)
            if response.status_code == 416 and total == there:
                progress(there)
                return True
            if response.status_code != 200 and (begin != there or _is_compressed(response)):
                return False
            self._check_size(response, begin)
            self._remember(response)
            if not begin:
                self._part.unlink(missing_ok=True)  # it may be a second name of a file in the hub's cache
            with self._part.open("r+b" if begin else "wb") as file:
                file.seek(begin)
                self._append(response, file, begin, progress)
        return True

    def _append(self, response: Any, file: BinaryIO, begin: int, progress: Progress) -> None:
        there = begin
        limit = MOST_BYTES if self._remote.size is None else self._remote.size
        progress(there)
        for chunk in response.iter_bytes():
            if not there:
                check_kind(self._remote, chunk[:FIRST_BYTES])
            there += len(chunk)
            self.transferred += len(chunk)
            if there > limit:
                self._forget()
                raise DownloadError(self._remote.path, f"{limit} bytes", "more")
            file.write(chunk)
            file.flush()  # a process that is killed leaves what has arrived
            progress(there)

    def _check_size(self, response: Any, begin: int) -> None:
        """Refuse a file of another size before it is transferred."""
        length = response.headers.get("Content-Length", "")
        if _is_compressed(response) or not length.isdigit():
            return
        expected, found = self._remote.size, begin + int(length)
        if found > MOST_BYTES or (expected is not None and found != expected):
            self._forget()
            raise DownloadError(self._remote.path, f"{expected or MOST_BYTES} bytes", f"{found}")

    def _version(self) -> str:
        """The version that the part belongs to; empty: unknown."""
        return self._etag.read_text(encoding="ascii") if self._etag.is_file() else ""

    def _remember(self, response: Any) -> None:
        """Keep the version and the hash of a file of which no hash was known beforehand."""
        if self._is_stated_by_hub:
            return
        etag = response.headers.get("ETag", "")
        if etag.isascii() and etag.startswith('"'):  # a weak one, W/"...", does not vouch for every byte
            self._etag.write_text(etag, encoding="ascii")
        else:
            self._etag.unlink(missing_ok=True)
        is_whole = response.status_code == 200
        self._stated = hash_of_headers(response.headers, is_whole=is_whole) or (None if is_whole else self._stated)


def _is_compressed(response: Any) -> bool:
    """Whether the body is unpacked as it is read, so that its length is not that of the file."""
    return str(response.headers.get("Content-Encoding", "identity")) != "identity"


def _range(response: Any) -> tuple[int, int]:
    """Where a response begins in the file, and the length of the file; -1 where it does not say."""
    stated = response.headers.get("Content-Range", "")
    total = stated.rpartition("/")[2]
    begin = int(found[1]) if (found := _RANGE.match(stated)) else -1
    return 0 if response.status_code == 200 else begin, int(total) if total.isdigit() else -1
