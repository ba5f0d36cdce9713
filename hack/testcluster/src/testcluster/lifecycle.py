"""Starts and ends a cluster: what is started after what, and what is waited for."""

import contextlib
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from . import network, pki
from .api import ApiClient, wait_until
from .archive import write_image
from .components import control_plane, kwok, node
from .errors import CommandError, NotUpError, UsageError
from .home import ClusterConfig, Home
from .host import (
    CONTROL_PLANE_PROGRAMS,
    remove_pod_cgroups,
    require_node_host,
    require_programs,
    restore_sysctls,
    save_sysctls,
)
from .kubeconfig import write_kubeconfig
from .options import UpOptions, has_controllers, make_config
from .supervision import SupervisorClient, is_up, launch

READY_TIMEOUT_S = 90.0
SYSCTL_FILE = "sysctl.json"
Say = Callable[[str], None]


class Startup:
    """One run of `up`."""

    def __init__(self, home: Home, options: UpOptions, *, say: Say) -> None:
        self._home = home
        self._options = options
        self._say = say
        self._started = time.monotonic()

    def run(self) -> None:
        """Brings the cluster up; on any failure takes down what was started, but keeps the logs."""
        self._check_host()
        config = make_config(self._options, environ=os.environ, source=random.SystemRandom())
        self._started = time.monotonic()
        clear_remains(self._home)
        try:
            self._start(config)
        except BaseException:
            end_processes(self._home)
            raise

    def _check_host(self) -> None:
        if self._options.control_plane:
            require_programs(CONTROL_PLANE_PROGRAMS)
            return
        require_node_host()
        network.require_free_network()

    def _start(self, config: ClusterConfig) -> None:
        self._prepare(config)
        supervisor = self._launch(config)
        client = ApiClient(address=config.address, port=config.api_port, pki=self._home.pki)
        try:
            self._start_api(config, supervisor, client)
            self._start_controllers(config, supervisor, client)
            if config.mode == "node":
                self._start_node(config, supervisor, client)
            if config.fake_nodes:
                self._start_kwok(config, supervisor, client)
        finally:
            client.close()

    def _prepare(self, config: ClusterConfig) -> None:
        home = self._home
        home.prepare()
        addresses = [config.address, "127.0.0.1", control_plane.FIRST_SERVICE_ADDRESS]
        leaves = pki.control_plane_leaves(dict.fromkeys(addresses))
        users = [*control_plane.CLIENTS, "kwok"]
        if config.mode == "node":
            leaves += pki.node_leaves(node=node.NODE_NAME, address=config.address)
            users += node.CLIENTS
        pki.make_pki(home.pki, leaves)
        for user in users:
            path = control_plane.client_kubeconfig(home, user)
            write_kubeconfig(path, server=config.server, user=user, pki=home.pki)
        write_kubeconfig(home.kubeconfig, server=config.server, user="admin", pki=home.pki)
        home.save(config)

    def _launch(self, config: ClusterConfig) -> SupervisorClient:
        if config.mode == "control-plane":
            return launch(self._home, owner_pid=self._options.owner_pid)
        save_sysctls(self._home.run / SYSCTL_FILE)
        supervisor = launch(self._home, prefix=network.NAMESPACES, owner_pid=self._options.owner_pid)
        inside = network.NodeNamespace(supervisor.pid())
        inside.mount_memory(Path("/run/netns"), Path("/var/lib/cni"), self._home.run / "containerd")
        inside.connect(routed=node.routed_ranges())
        return supervisor

    def _start_api(self, config: ClusterConfig, supervisor: SupervisorClient, client: ApiClient) -> None:
        if config.mode == "node":
            node.write_configuration(self._home)
            supervisor.start(node.runtime(self._home))
        supervisor.start(control_plane.etcd(self._home, config))
        api_server = control_plane.api_server(self._home, config, service_accounts=has_controllers(config))
        supervisor.start(api_server)
        self._wait(client.is_ready, "API server ready", supervisor)

    def _start_controllers(self, config: ClusterConfig, supervisor: SupervisorClient, client: ApiClient) -> None:
        if not has_controllers(config):
            self._say(
                f"no kube-controller-manager and kube-scheduler in {config.programs}: no garbage collection, no"
                " ServiceAccounts, and no Pods from Deployments or Jobs"
            )
            return
        supervisor.start(control_plane.controller_manager(self._home, config))
        supervisor.start(control_plane.scheduler(self._home, config))
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait(lambda: client.get(account) is not None, "controllers ready", supervisor)

    def _start_node(self, config: ClusterConfig, supervisor: SupervisorClient, client: ApiClient) -> None:
        home = self._home
        for component in (node.kubelet(home, config), node.proxy(home, config), node.dns(home, config)):
            supervisor.start(component)
        node.make_volume_folders(home, config.volumes)
        node.create_objects(client, home, volumes=config.volumes)
        load_pause_image(home, config)
        self._wait(lambda: node.is_ready(client), f"{node.NODE_NAME} ready", supervisor)

    def _start_kwok(self, config: ClusterConfig, supervisor: SupervisorClient, client: ApiClient) -> None:
        supervisor.start(kwok.controller(self._home, config))
        kwok.create_nodes(client, config.fake_nodes)
        count = config.fake_nodes
        self._wait(lambda: kwok.are_ready(client, count), f"{count} fake nodes ready", supervisor)

    def _wait(self, condition: Callable[[], bool], what: str, supervisor: SupervisorClient) -> None:
        wait_until(condition, what=what, timeout_s=READY_TIMEOUT_S, alive=supervisor.check_alive)
        self._say(f"{what} after {time.monotonic() - self._started:.1f} s")


def load_pause_image(home: Home, config: ClusterConfig) -> None:
    """Loads the image of Pod sandboxes, which no Pod starts without."""
    architecture = "arm64" if os.uname().machine == "aarch64" else "amd64"
    archive = home.run / "pause.tar"
    program = Path(config.programs) / "pause"
    write_image(archive, program=program, tag=node.PAUSE_IMAGE, architecture=architecture)
    node.import_image(home, archive)


def bring_up(home: Home, options: UpOptions, *, say: Say) -> None:
    """Starts a cluster; one that is up already in the same mode is left as it is. Raises ClusterError."""
    if is_up(home):
        mode = home.load().mode
        if (mode == "control-plane") != options.control_plane:
            raise UsageError(f"a cluster of the other mode ({mode}) is up in {home.root}: end it first")
        say(f"already up ({mode})")
        return
    Startup(home, options, say=say).run()


def end_processes(home: Home) -> None:
    """Ends every process of a cluster and gives the host back what a node changed on it."""
    supervisor = SupervisorClient(home)
    with contextlib.suppress(NotUpError):
        supervisor.end()
    if (home.run / SYSCTL_FILE).exists():
        network.disconnect()
        restore_sysctls(home.run / SYSCTL_FILE)
        remove_pod_cgroups()


def clear_remains(home: Home) -> None:
    """Removes what a cluster that ended by itself, such as with its owner, left behind."""
    end_processes(home)
    home.clear(images=False)


def take_down(home: Home, *, purge: bool) -> None:
    """Ends a cluster, if there is one, and clears its home; `purge` takes the loaded images too."""
    end_processes(home)
    home.clear(images=purge)


def start_component(home: Home, name: str) -> None:
    """Starts a stopped component; waits for the API server if it is that. Raises ClusterError."""
    supervisor = SupervisorClient(home)
    require_component(supervisor, name)
    supervisor.start_again(name)
    if name == "kube-apiserver":
        config = home.load()
        client = ApiClient(address=config.address, port=config.api_port, pki=home.pki)
        wait_until(
            client.is_ready,
            what="API server ready",
            timeout_s=READY_TIMEOUT_S,
            alive=lambda: supervisor.check_alive(name),
        )
        client.close()


def stop_component(home: Home, name: str, *, number: int) -> None:
    """Ends a component by a signal; the others, and etcd's data, stay. Raises ClusterError."""
    supervisor = SupervisorClient(home)
    require_component(supervisor, name)
    supervisor.stop(name, number=number)


def require_component(supervisor: SupervisorClient, name: str) -> None:
    """Raises CommandError that names the components there are."""
    known = supervisor.status()
    if name not in known:
        raise CommandError(f"no component {name!r}; there are {', '.join(known)}")
