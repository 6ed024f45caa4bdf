# docker build -t hostmonitor .
# openssl rand -hex 32 > hostmonitor_api_key    (readable for user 10001)
# docker run --rm -p 127.0.0.1:8000:8000 --read-only --tmpfs /tmp -v hostmonitor-data:/srv/hostmonitor/data \
#     -v ./hostmonitor_api_key:/run/secrets/hostmonitor_api_key:ro hostmonitor
FROM python:3.13.9-slim-bookworm AS build

WORKDIR /srv/hostmonitor
COPY requirements.lock ./
RUN python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

COPY main.py ./
COPY apps apps
COPY config config
COPY libs libs
COPY middlewares middlewares
COPY operator_ operator_
COPY parser parser
COPY query query
# Nothing can be compiled later, where the root is read-only.
RUN /opt/venv/bin/python -m compileall -q /srv/hostmonitor


FROM python:3.13.9-slim-bookworm

LABEL org.opencontainers.image.title="HostMonitor" \
      org.opencontainers.image.description="One query language over monitoring stores, over plain HTTP" \
      org.opencontainers.image.version="0.1.0"

# The service refuses to listen at 0.0.0.0 without a key.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOSTMONITOR_HOST=0.0.0.0 \
    HOSTMONITOR_PORT=8000 \
    HOSTMONITOR_API_KEY_FILE=/run/secrets/hostmonitor_api_key \
    HOSTMONITOR_DATA_DIR=/srv/hostmonitor/data \
    HOSTMONITOR_LOG_DIR=/srv/hostmonitor/data/logs

WORKDIR /srv/hostmonitor
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/hostmonitor /srv/hostmonitor
RUN install -d -o 10001 -g 10001 -m 0750 /srv/hostmonitor/data

# A number, so that Kubernetes can see that it is not root. It owns its data and nothing else.
USER 10001:10001
VOLUME ["/srv/hostmonitor/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM

# Its own answer, not the stores': those that are down are told by /health/ready.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", "\
import os, urllib.request; \
port, base = os.environ['HOSTMONITOR_PORT'], os.environ.get('HOSTMONITOR_BASE_PATH', ''); \
urllib.request.urlopen(f'http://127.0.0.1:{port}{base}/health/live', timeout=4)"]

CMD ["python", "main.py", "serve"]
