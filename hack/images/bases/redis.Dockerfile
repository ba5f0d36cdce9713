# Stands in for the official redis image where no registry can be reached: redis-server and redis-cli on the PATH.
ARG BASE=localhost/agentberth-base-debian:trixie
FROM ${BASE}
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
    && apt-get install -y --no-install-recommends redis-server redis-tools \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
EXPOSE 6379
CMD ["redis-server"]
