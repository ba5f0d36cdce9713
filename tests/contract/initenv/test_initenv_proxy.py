"""Code and packages behind a company's proxy that ends TLS: uv, npm and git find their way out, and trust it."""

from pathlib import Path
from urllib.parse import urlsplit

from contract.company_network import CompanyProxy
from contract.initenv.git_server import GitServer, Repository
from contract.initenv.harness import Pod
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


def test_git_and_uv(pod: Pod, tmp_path: Path) -> None:
    Repository(tmp_path / "repositories" / "agent").commit(main_py="x")
    with GitServer(tmp_path / "repositories") as git, PackageIndex() as index:
        index.add_wheel("good", "1.0")
        servers = {"git.company.invalid": port_of(git.url("agent")), "pypi.company.invalid": port_of(index.url)}
        with CompanyProxy(tmp_path / "company", servers) as company:
            pod.env = company.environment()
            address = urlsplit(git.url("agent"))._replace(scheme="https", netloc="git.company.invalid").geturl()
            pod.plan(
                code={"kind": "git", "repository": address, "revision": "main"},
                packages={"runtime": "python", "requirements": ["good"]},
                index={"pythonUrl": f"https://pypi.company.invalid{urlsplit(index.url).path}"},
            )
            pod.run().prepared()

    assert {line.split()[1] for line in company.seen} == {f"{name}:443" for name in servers}


def test_npm(pod: Pod, tmp_path: Path) -> None:
    with NpmRegistry() as registry:
        registry.add("good", "1.0.0")
        with CompanyProxy(tmp_path / "company", {"npm.company.invalid": port_of(registry.url)}) as company:
            pod.env = company.environment()
            pod.plan(
                packages={"runtime": "nodejs", "requirements": ["good"]},
                index={"npmRegistry": f"https://npm.company.invalid{urlsplit(registry.url).path}"},
            )
            pod.run().prepared()

    assert {line.split()[1] for line in company.seen} == {"npm.company.invalid:443"}
