"""The command lines of the control plane's components: pure functions of a home and a configuration."""

from pathlib import Path

from testcluster.home import ClusterConfig, Home

from .component import Component

SERVICE_RANGE = "10.96.0.0/16"
FIRST_SERVICE_ADDRESS = "10.96.0.1"
ISSUER = "https://kubernetes.default.svc.cluster.local"
CONTROLLER_WORKERS = 20
SCALED_CONTROLLERS = ("deployment", "replicaset", "statefulset", "job", "cron-job", "service-endpoint")
CLIENTS = ("kube-controller-manager", "kube-scheduler")
"""Components that authenticate to the API server with a kubeconfig of their own."""


def etcd(home: Home, config: ClusterConfig) -> Component:
    """The store. It does not wait for the disk: a test cluster does not outlive its machine."""
    client, peer = f"http://127.0.0.1:{config.etcd_port}", f"http://127.0.0.1:{config.etcd_peer_port}"
    return Component(
        "etcd",
        (
            _program(config, "etcd"),
            f"--data-dir={home.folder('etcd')}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--log-level=warn",
        ),
    )


def api_server(home: Home, config: ClusterConfig, *, service_accounts: bool) -> Component:
    """The API server. Without a controller manager nobody makes ServiceAccounts, so Pods must not need one."""
    pki = home.pki
    arguments = [
        f"--etcd-servers=http://127.0.0.1:{config.etcd_port}",
        f"--bind-address={config.address}",
        f"--advertise-address={config.address}",
        f"--secure-port={config.api_port}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--service-account-key-file={pki}/sa.key",
        f"--service-account-signing-key-file={pki}/sa.key",
        f"--service-account-issuer={ISSUER}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        # Ends watches when it is told to end; without it a restart waits for clients that never leave.
        "--shutdown-watch-termination-grace-period=1s",
    ]
    if not service_accounts:
        arguments.append("--disable-admission-plugins=ServiceAccount")
    return Component("kube-apiserver", (_program(config, "kube-apiserver"), *arguments, *_reach(home, config)))


def _reach(home: Home, config: ClusterConfig) -> list[str]:
    """How the API server reaches nodes, or, without any, that it is no endpoint for Pods."""
    if config.mode == "control-plane":
        return ["--endpoint-reconciler-type=none"]
    return [
        f"--kubelet-client-certificate={home.pki}/kubelet-client.crt",
        f"--kubelet-client-key={home.pki}/kubelet-client.key",
        f"--kubelet-certificate-authority={home.pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
    ]


def controller_manager(home: Home, config: ClusterConfig) -> Component:
    """Garbage collection, ServiceAccounts, Deployments, Jobs and the rest."""
    pki = home.pki
    arguments = [
        f"--kubeconfig={client_kubeconfig(home, 'kube-controller-manager')}",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--secure-port=0",
        "--horizontal-pod-autoscaler-sync-period=2s",
    ]
    arguments += [f"--concurrent-{name}-syncs={CONTROLLER_WORKERS}" for name in SCALED_CONTROLLERS]
    name = "kube-controller-manager"
    return Component(name, (_program(config, name), *arguments, *_rate(config)))


def scheduler(home: Home, config: ClusterConfig) -> Component:
    """Binds Pods to nodes, real or fake."""
    name = "kube-scheduler"
    arguments = (f"--kubeconfig={client_kubeconfig(home, name)}", "--leader-elect=false", "--secure-port=0")
    return Component(name, (_program(config, name), *arguments, *_rate(config)))


def client_kubeconfig(home: Home, name: str) -> Path:
    """Where the kubeconfig of a component is."""
    return home.run / f"{name}.kubeconfig"


def _rate(config: ClusterConfig) -> list[str]:
    """Kubernetes' own default of 20 requests per second makes a controller manager take 5 s to start."""
    return [f"--kube-api-qps={config.api_qps}", f"--kube-api-burst={2 * config.api_qps}"]


def _program(config: ClusterConfig, name: str) -> str:
    return f"{config.programs}/{name}"
