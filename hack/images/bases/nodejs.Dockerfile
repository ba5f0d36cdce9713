# Stands in for the official Node.js slim image where no registry can be reached.
ARG BASE=localhost/agentberth-base-debian:trixie
FROM ${BASE}
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
    && apt-get install -y --no-install-recommends nodejs \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
CMD ["node"]
