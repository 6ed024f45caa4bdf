# docker build -t hostmonitor . && docker run --rm --network host -v hostmonitor-data:/srv/hostmonitor/data hostmonitor
FROM python:3.13-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

RUN useradd --system --uid 10001 --no-create-home hostmonitor
WORKDIR /srv/hostmonitor

COPY requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

COPY main.py ./
COPY apps apps
COPY config config
COPY libs libs
COPY middlewares middlewares
COPY operator_ operator_
COPY parser parser
COPY query query
RUN mkdir data logs && chown hostmonitor data logs

USER hostmonitor
VOLUME ["/srv/hostmonitor/data", "/srv/hostmonitor/logs"]

# The service binds to the loopback while it has no authentication: run it in the host's network, behind a gateway there.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["python", "-c", "\
import os, urllib.request; \
port, base = os.environ.get('HOSTMONITOR_PORT', '8000'), os.environ.get('HOSTMONITOR_BASE_PATH', ''); \
urllib.request.urlopen(f'http://127.0.0.1:{port}{base}/health/live', timeout=4)"]

CMD ["python", "main.py", "serve"]
