import base64
import json
import random
import socket
import ssl
import subprocess
import tarfile
from pathlib import Path

import pytest
from testcluster.archive import write_image
from testcluster.components import control_plane, kwok, node
from testcluster.errors import NotUpError
from testcluster.home import ClusterConfig, Home
from testcluster.host import remove_pod_cgroups, restore_sysctls, save_sysctls
from testcluster.kubeconfig import kubeconfig, write_kubeconfig
from testcluster.pki import Leaf, control_plane_leaves, leaf_extensions, make_pki
from testcluster.ports import candidate_range, free_ports

HOME = Home(Path("/h"))


def config(mode: str = "control-plane", **changes: int) -> ClusterConfig:
    values = {"api_port": 1001, "etcd_port": 1002, "etcd_peer_port": 1003, "api_qps": 50, **changes}
    return ClusterConfig(
        mode="node" if mode == "node" else "control-plane",
        programs="/p",
        address="127.0.0.1",
        **values,
    )


def test_the_api_server_is_bound_to_its_configured_port() -> None:
    argv = control_plane.api_server(HOME, config(), service_accounts=True).argv
    assert argv[0] == "/p/kube-apiserver"
    assert {"--secure-port=1001", "--bind-address=127.0.0.1", "--etcd-servers=http://127.0.0.1:1002"} <= set(argv)
    assert not [argument for argument in argv if argument.startswith("--disable-admission-plugins")]


def test_without_controllers_pods_need_no_service_account() -> None:
    argv = control_plane.api_server(HOME, config(), service_accounts=False).argv
    assert "--disable-admission-plugins=ServiceAccount" in argv


def test_only_a_node_needs_the_way_to_kubelet() -> None:
    alone = control_plane.api_server(HOME, config(), service_accounts=True).argv
    with_node = control_plane.api_server(HOME, config("node"), service_accounts=True).argv
    assert "--endpoint-reconciler-type=none" in alone
    assert not [argument for argument in alone if "kubelet" in argument]
    assert "--kubelet-certificate-authority=/h/pki/ca.crt" in with_node


def test_controllers_and_scheduler_get_the_rate() -> None:
    for component in (control_plane.controller_manager(HOME, config()), control_plane.scheduler(HOME, config())):
        assert {"--kube-api-qps=50", "--kube-api-burst=100", "--leader-elect=false"} <= set(component.argv)


def test_kwok_leaves_other_nodes_alone() -> None:
    argv = kwok.controller(HOME, config()).argv
    annotations = kwok.fake_node(3)["metadata"]["annotations"]
    selector = "--manage-nodes-with-annotation-selector="
    chosen = next(argument.removeprefix(selector) for argument in argv if argument.startswith(selector))
    assert dict([chosen.split("=")]) == annotations
    assert "--manage-all-nodes=false" in argv


def test_every_configuration_file_can_be_filled_in() -> None:
    for source in node.CONF.iterdir():
        filled = node.fill(source.read_text(), HOME)
        assert "${" not in filled
    assert json.loads(node.fill((node.CONF / "10-ptp.conflist").read_text(), HOME))["name"] == "pods"
    with pytest.raises(KeyError):
        node.fill("${NOWHERE}", HOME)


def test_a_kubeconfig_carries_everything_inside() -> None:
    made = kubeconfig(server="https://a:1", user="admin", authority=b"CA", certificate=b"CRT", key=b"KEY")
    context = made["contexts"][0]
    assert made["current-context"] == context["name"]
    assert made["clusters"][0]["name"] == context["context"]["cluster"]
    assert made["users"][0]["name"] == context["context"]["user"]
    user = made["users"][0]["user"]
    assert [base64.b64decode(user[name]) for name in sorted(user)] == [b"CRT", b"KEY"]


def test_a_home_remembers_its_configuration_and_forgets_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with pytest.raises(NotUpError, match="no cluster in"):
        home.load()
    home.prepare()
    home.save(config(fake_nodes=4))
    assert home.load() == config(fake_nodes=4)
    home.images.mkdir()
    home.clear(images=False)
    assert [path.name for path in home.root.iterdir()] == ["containerd"]
    home.clear(images=True)
    assert not home.root.exists()


def test_clearing_a_home_leaves_other_files_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    (tmp_path / "thesis.txt").write_text("years of work")
    home.clear(images=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_ports_are_outside_the_range_of_outgoing_connections() -> None:
    assert max(candidate_range("32768\t60999")) < 32768
    assert min(candidate_range("1024 50000")) > 50000


def test_free_ports_are_different_and_can_be_bound() -> None:
    ports = free_ports(3, source=random.Random(7))  # noqa: S311 - a choice of ports, not of secrets
    assert len(set(ports)) == 3
    for port in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_leaf_extensions_name_what_is_served() -> None:
    leaf = Leaf(name="x", user="u", group="g", dns=("a", "b"), addresses=("10.0.0.1",))
    assert leaf.subject == "/CN=u/O=g"
    assert "subjectAltName=DNS:a,DNS:b,IP:10.0.0.1\n" in leaf_extensions(leaf)
    assert "subjectAltName" not in leaf_extensions(Leaf(name="x", user="u"))


def test_the_certificates_hold_in_a_strict_handshake(tmp_path: Path) -> None:
    make_pki(tmp_path, control_plane_leaves(["127.0.0.1"]))
    write_kubeconfig(tmp_path / "kubeconfig", server="https://127.0.0.1:1", user="admin", pki=tmp_path)
    assert (tmp_path / "kubeconfig").stat().st_mode & 0o777 == 0o600
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.crt"))
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_cert_chain(tmp_path / "apiserver.crt", tmp_path / "apiserver.key")
    client_context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    client_context.load_cert_chain(tmp_path / "admin.crt", tmp_path / "admin.key")
    subject = handshake(server_context, client_context)
    assert (("commonName", "admin"),) in subject
    assert (("organizationName", "system:masters"),) in subject


def handshake(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> tuple[object, ...]:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    waiting = [client, server]
    for _ in range(10):
        waiting = [side for side in waiting if not finished(side)]
    assert waiting == []
    peer = server.getpeercert()
    assert peer
    subject = peer["subject"]
    assert isinstance(subject, tuple)
    return subject


def finished(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def test_the_pause_image_is_a_docker_archive_and_reproducible(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"ELF")
    for name in ("a.tar", "b.tar"):
        write_image(tmp_path / name, program=program, tag="localhost/pause:1", architecture="amd64")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        image = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        layer = archive.extractfile(manifest["Layers"][0])
        assert layer is not None
        with tarfile.open(fileobj=layer) as content:
            assert content.getmember("pause").mode == 0o755
    assert manifest["RepoTags"] == ["localhost/pause:1"]
    assert image["config"]["Entrypoint"] == ["/pause"]


def test_sysctls_are_given_back(tmp_path: Path) -> None:
    root = tmp_path / "sys"
    for name, value in (("vm/overcommit_memory", "0"), ("kernel/panic", "0")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{value}\n")
    save_sysctls(tmp_path / "saved.json", root=root)
    (root / "vm/overcommit_memory").write_text("1\n")
    restore_sysctls(tmp_path / "saved.json", root=root)
    assert (root / "vm/overcommit_memory").read_text() == "0"
    assert (root / "kernel/panic").read_text() == "0\n"


def test_pod_cgroups_of_both_versions_are_removed(tmp_path: Path) -> None:
    for folder in ("kubepods/besteffort/pod1", "memory/kubepods/pod2", "memory/other"):
        (tmp_path / folder).mkdir(parents=True)
    remove_pod_cgroups(tmp_path)
    left = subprocess.run(["find", ".", "-type", "d"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted(left.stdout.split()) == [".", "./memory", "./memory/other"]
