# Stands in for the official Python slim image where no registry can be reached: the same interpreter
# version, pip, venv and the name `python`.
ARG BASE=localhost/agentberth-base-debian:trixie
FROM ${BASE}
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-pip python3-venv python-is-python3 \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
# As in the official image, pip installs into the system's interpreter.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 LANG=C.UTF-8
CMD ["python3"]
