# fastsam-trt on an NVIDIA GPU: ONNX Runtime's CUDA provider and TensorRT. The wheels bring CUDA 13; the machine needs a
# driver for CUDA 13 and the NVIDIA Container Toolkit.
#
#   docker build -f docker/gpu.Dockerfile -t fastsam-trt:gpu .
#   docker run --rm --gpus all -v fastsam-trt:/data fastsam-trt:gpu doctor

FROM python:3.11.13-slim-bookworm AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY . .
RUN uv venv /venv \
 && uv pip install --no-cache --python /venv/bin/python --constraint constraints.txt \
      --override docker/overrides.txt --requirement docker/headless.txt '.[gpu,tensorrt,preview]'

FROM python:3.11.13-slim-bookworm
RUN useradd --create-home --uid 1000 fastsam \
 && install -d -o fastsam -g fastsam -m 0777 /data /work
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    FASTSAM_TRT_HOME=/data \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONUNBUFFERED=1
USER 1000
WORKDIR /work
VOLUME /data
ENTRYPOINT ["fastsam-trt"]
CMD ["--help"]
