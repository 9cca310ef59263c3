"""Serve requests with prompts of their own from several threads: one pipeline, and no locks in your code.

python prompts_per_call.py [PHOTO] [MODEL] [PROMPT ...]
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from fastsam_trt import Pipeline, Result, open_source
from fastsam_trt.cli import one_line_errors


def main(photo: str = "demo", model: str = "demo-seg", *prompts: str) -> None:
    with Pipeline(model) as pipe, open_source(photo) as source, ThreadPoolExecutor(4) as pool:
        image = next(iter(source)).image

        def select(prompt: str) -> Result:
            return pipe(image, prompts=[prompt])  # for this call only; pipe.prompts stays as it is

        wanted = prompts or ("red circle", "green square", "pink", "black cat")
        for prompt, result in zip(wanted, pool.map(select, wanted), strict=True):
            print(f"{prompt}: {len(result)} segments")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
