# Landscope in a container: any `landscope` command, by default the demo, on port 8050, with its runs in /runs.
#
#   docker build -t landscope .                                CPU
#   docker build -t landscope:cuda --build-arg TORCH=cuda .    NVIDIA GPUs; start it with --gpus all
#   docker run --rm -p 8050:8050 -v landscope-runs:/runs landscope
#
# The page is open to the network, so it asks for a token; the address that is printed at the start carries it.

FROM python:3.11-slim AS build
ARG TORCH=cpu
ARG CPU_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/landscope
ENV PATH=/opt/landscope/bin:$PATH
WORKDIR /src

# torch is by far the largest part and changes least, so it is a layer of its own. Its CUDA build brings its own CUDA
# libraries; the host needs the driver alone.
COPY constraints.txt ./
RUN version="$(sed -n 's/^torch==//p' constraints.txt)" && \
    case "$TORCH" in \
        cpu)  pip install -c constraints.txt --extra-index-url "$CPU_INDEX" "torch==$version+cpu" ;; \
        cuda) pip install -c constraints.txt "torch==$version" ;; \
        *)    echo "TORCH must be cpu or cuda, got $TORCH" >&2 && exit 1 ;; \
    esac

COPY pyproject.toml README.md LICENSE ./
COPY core/ core/
COPY app/ app/
COPY assets/ assets/
RUN pip install -c constraints.txt .


FROM python:3.11-slim
# numba caches compiled code beside its source or at home; under `--user` neither may be writable
ENV PATH=/opt/landscope/bin:$PATH PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/tmp/numba
RUN useradd --uid 10001 --create-home landscope && install --directory --owner=landscope /runs
COPY --from=build /opt/landscope /opt/landscope

USER 10001
WORKDIR /runs
VOLUME /runs
EXPOSE 8050
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8050/health', timeout=4)"]
ENTRYPOINT ["landscope"]
CMD ["demo", "--host", "0.0.0.0", "--port", "8050", "--runs", "/runs", "--no-open"]
