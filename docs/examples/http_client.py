"""Send a photo to `fastsam-trt serve` and print what was selected, with the standard library only.

fastsam-trt serve --model demo-seg
python http_client.py PHOTO [PROMPT] [URL]
"""

import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path


def main(photo: str, prompt: str = "red circle", url: str = "http://127.0.0.1:8000") -> None:
    request = {"image": base64.b64encode(Path(photo).read_bytes()).decode(), "prompts": [prompt]}
    headers = {"Content-Type": "application/json"}  # and "Authorization": "Bearer TOKEN", if the server has a token
    post = urllib.request.Request(f"{url}/v1/segment", json.dumps(request).encode(), headers)
    try:
        with urllib.request.urlopen(post, timeout=60) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:  # what was wrong is in the answer
        sys.exit(f"{error.code}: {json.load(error)['detail']}")
    for segment in found["segments"]:
        print(f"{segment['prompt']} at {segment['box']}, mask of {len(segment['mask']['counts'])} characters")
    print(f"{len(found['segments'])} segments in {found['ms']['total']:.0f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
