# One image for all processes. The command chooses the process: `python manage.py web`, `celery -A config worker`,
# `celery -A config beat`, `python manage.py migrate`. compose.yaml starts all of them.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
WORKDIR /build
COPY requirements.txt ./
# As the Makefile does it: a lock names every package with its hashes, so no resolver is needed.
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --no-deps --require-hashes -r requirements.txt \
 && /opt/venv/bin/python -m pip check

FROM python:${PYTHON}-slim-bookworm
RUN groupadd --gid 10001 postbacks \
 && useradd --uid 10001 --gid 10001 --home-dir /data --shell /usr/sbin/nologin postbacks \
 && install --directory --owner=postbacks --group=postbacks --mode=700 /data
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY manage.py ./
COPY config config
COPY affiliates affiliates
COPY orders orders
COPY callbacks callbacks
COPY templates templates
RUN /opt/venv/bin/python -m compileall -q .
# Only DATA_DIR and /tmp are written to, so the file system can be read-only.
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 DATA_DIR=/data WEB_HOST=0.0.0.0
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\") or 8000}/healthz', timeout=4)"]
CMD ["python", "manage.py", "web"]
