"""Exclude by text: select one thing without what resembles it.

python exclude_texts.py [PHOTO] [PROMPT] [EXCLUDED] [MODEL]
"""

import sys

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors


def main(photo: str = "demo", prompt: str = "pink", excluded: str = "star", model: str = "demo-seg") -> None:
    with Pipeline(model, prompts=[prompt]) as pipe, open_source(photo) as source:
        image = next(iter(source)).image
        before = pipe(image)
        pipe.excluded = [excluded]  # from now on, for every call
        after = pipe(image)
    print(f"{len(before)} segments match {prompt!r}, {len(after)} without {excluded!r}")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
