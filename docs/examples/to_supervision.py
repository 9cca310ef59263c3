"""Draw results with supervision's annotators: masks into `sv.Detections`.

pip install 'fastsam-trt[supervision]'
python to_supervision.py [PHOTO] [PROMPT] [MODEL]
"""

import sys

import cv2

from fastsam_trt import Pipeline, open_source
from fastsam_trt.cli import one_line_errors


def main(photo: str = "demo", prompt: str = "red circle", model: str = "demo-seg") -> None:
    with Pipeline(model, prompts=[prompt]) as pipe, open_source(photo) as source:
        result = pipe(next(iter(source)).image)
    detections = result.to_supervision()  # says how to install supervision where it is missing

    import supervision as sv

    image = sv.MaskAnnotator().annotate(result.frame.copy(), detections)
    image = sv.BoxAnnotator().annotate(image, detections)
    cv2.imwrite("annotated.png", image)
    print(f"{len(detections)} detections, prompts {detections.data['prompt'].tolist()}")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
