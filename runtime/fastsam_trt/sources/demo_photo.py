"""DemoPhoto: a photo that comes with the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.frames.image import read_image
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.names import DEMO_PHOTO
from fastsam_trt.sources.source import Source

FILE = Path(__file__).parents[1] / "demo" / "photos" / "chelsea.jpg"


class DemoPhoto(Source):
    """A ginger cat, 451 x 300 px: Chelsea, by Stéfan van der Walt (CC0)."""

    kind = "images"
    frames = 1

    def __init__(self, file: Path = FILE) -> None:
        """Check that the photo is there.

        Args:
            file: The photo.

        Raises:
            SourceUnreadableError: The package is damaged.
        """
        if not file.is_file():
            raise SourceUnreadableError(
                DEMO_PHOTO,
                f"expected the photo that comes with the package, found no file {file}; "
                "run: pip install --force-reinstall --no-deps fastsam-trt",
            )
        self._file = file

    def __iter__(self) -> Iterator[Frame]:
        if not self._stopped:
            yield Frame(read_image(self._file), 0, DEMO_PHOTO)
