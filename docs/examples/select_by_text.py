"""Select segments in one photo by text and save the overlay.

python select_by_text.py [PHOTO] [PROMPT] [MODEL]
"""

import sys

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors


def main(photo: str = "demo", prompt: str = "red circle", model: str = "demo-seg") -> None:
    with Pipeline(model, prompts=[prompt]) as pipe, open_source(photo) as source:
        frame = next(iter(source))
        result = pipe(frame.image)
    for box, score, similarity in zip(result.boxes, result.scores, result.similarities, strict=True):
        print(f"{prompt} at {box.round().astype(int).tolist()}, score {score:.2f}, similarity {similarity:.2f}")
    result.save("selected.png")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
