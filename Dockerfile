# fastsam-trt on the CPU, without windows (--show); --preview serves a browser instead.
#
#   docker build -t fastsam-trt .
#   docker run --rm -v fastsam-trt:/data -v "$PWD:/work" fastsam-trt run --video demo --prompt "red circle" --save out.mp4
#
# /data keeps models and engines (FASTSAM_TRT_HOME). To write into a mounted folder add: --user "$(id -u):$(id -g)"

FROM python:3.11.13-slim-bookworm AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY . .
RUN uv venv /venv \
 && uv pip install --no-cache --python /venv/bin/python --constraint constraints.txt \
      --override docker/overrides.txt --requirement docker/headless.txt '.[cpu,preview]'

FROM python:3.11.13-slim-bookworm
RUN useradd --create-home --uid 1000 fastsam \
 && install -d -o fastsam -g fastsam -m 0777 /data /work
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    FASTSAM_TRT_HOME=/data \
    PYTHONUNBUFFERED=1
USER 1000
WORKDIR /work
VOLUME /data
ENTRYPOINT ["fastsam-trt"]
CMD ["--help"]
