#!/usr/bin/env bash
# A kind cluster with a registry beside it: what is pushed to localhost:5001 can be pulled in the cluster.
# The way is the one that kind documents (https://kind.sigs.k8s.io/docs/user/local-registry).
set -euo pipefail

cluster=${KIND_CLUSTER:-agentberth}
node_image=${KIND_NODE_IMAGE:-}
registry=${REGISTRY_NAME:-agentberth-registry}
port=${REGISTRY_PORT:-5001}
registry_image=${REGISTRY_IMAGE:-docker.io/library/registry:3}

usage() {
    cat <<TEXT
Usage: hack/kind-with-registry.sh up|down

  up      registry, cluster, and each told of the other; what is there already stays
  down    removes both

Settings (environment)     now
  KIND_CLUSTER             $cluster
  KIND_NODE_IMAGE          ${node_image:-the one of kind}
  REGISTRY_NAME            $registry
  REGISTRY_PORT            $port      on 127.0.0.1 alone
  REGISTRY_IMAGE           $registry_image

Examples
  hack/kind-with-registry.sh up && tilt up
  KIND_NODE_IMAGE=kindest/node:v1.34.3 hack/kind-with-registry.sh up
TEXT
}

need() {
    for program in docker kind kubectl; do
        command -v "$program" >/dev/null || { echo "error: $program is not on the PATH" >&2; exit 1; }
    done
}

start_registry() {
    if [ "$(docker inspect --format '{{.State.Running}}' "$registry" 2>/dev/null)" = true ]; then return; fi
    docker start "$registry" >/dev/null 2>&1 ||
        docker run --detach --restart=always --publish "127.0.0.1:$port:5000" --name "$registry" "$registry_image" >/dev/null
}

start_cluster() {
    if kind get clusters 2>/dev/null | grep --quiet --line-regexp "$cluster"; then return; fi
    # Nodes read where a registry is from a folder, which tell_nodes fills. Newer releases of kind do so by themselves.
    kind create cluster --name "$cluster" ${node_image:+--image "$node_image"} --wait 120s --config - <<'YAML'
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
containerdConfigPatches:
  - |-
    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = "/etc/containerd/certs.d"
YAML
}

tell_nodes() { # localhost is the node itself in a node: there the registry goes by its name
    local folder=/etc/containerd/certs.d/localhost:$port node
    for node in $(kind get nodes --name "$cluster"); do
        docker exec "$node" mkdir -p "$folder"
        printf '[host."http://%s:5000"]\n' "$registry" | docker exec --interactive "$node" cp /dev/stdin "$folder/hosts.toml"
    done
    if [ "$(docker inspect --format '{{json .NetworkSettings.Networks.kind}}' "$registry")" = null ]; then
        docker network connect kind "$registry"
    fi
}

tell_cluster() { # how tools such as Tilt find the registry: KEP-1755
    kubectl --context "kind-$cluster" apply -f - >/dev/null <<YAML
apiVersion: v1
kind: ConfigMap
metadata:
  name: local-registry-hosting
  namespace: kube-public
data:
  localRegistryHosting.v1: |
    host: "localhost:$port"
    help: "https://kind.sigs.k8s.io/docs/user/local-registry/"
YAML
}

case "${1:-}" in
up)
    need
    start_registry
    start_cluster
    tell_nodes
    tell_cluster
    echo "cluster kind-$cluster; images: localhost:$port/NAME:TAG"
    ;;
down)
    need
    kind delete cluster --name "$cluster"
    docker rm --force "$registry" >/dev/null
    ;;
-h | --help) usage ;;
*)
    usage >&2
    exit 2
    ;;
esac
