"""Send a photo to `fastsam-trt serve` and print what was selected, with the standard library only.

fastsam-trt serve --model demo-seg
python http_client.py PHOTO [PROMPT] [HOST:PORT]
"""

import base64
import json
import sys
from http.client import HTTPConnection
from pathlib import Path


def main(photo: str, prompt: str = "red circle", address: str = "127.0.0.1:8000") -> None:
    request = {"image": base64.b64encode(Path(photo).read_bytes()).decode(), "prompts": [prompt]}
    headers = {"Content-Type": "application/json"}  # and "Authorization": "Bearer TOKEN", if the server has a token
    connection = HTTPConnection(address, timeout=60)
    connection.request("POST", "/v1/segment", json.dumps(request), headers)
    answer = connection.getresponse()
    found = json.load(answer)
    if answer.status != 200:
        sys.exit(f"{answer.status}: {found['detail']}")
    for segment in found["segments"]:
        print(f"{segment['prompt']} at {segment['box']}, mask of {len(segment['mask']['counts'])} characters")
    print(f"{len(found['segments'])} segments in {found['ms']['total']:.0f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
