"""Tools behind a company's proxy that ends TLS: downloads, packages, servers, and the programs themselves."""

from pathlib import Path
from urllib.parse import urlsplit

from contract.company_network import CompanyProxy
from contract.initenv.package_index import PackageIndex
from contract.toolproxy.artifact_server import ArtifactServer
from contract.toolproxy.test_toolproxy_install import CLI, output_of, planned
from contract.toolproxy.toolproxy_harness import ToolProxy
from contract.toolproxy.upstream_server import UpstreamServer

SHOW = b"#!/bin/sh\necho $HTTPS_PROXY $SSL_CERT_FILE $CANARY_OF_THE_PROXY\n"


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


def test_downloads_packages_and_servers_take_the_way_of_the_platform(proxy: ToolProxy, tmp_path: Path) -> None:
    with ArtifactServer() as files, PackageIndex() as index, UpstreamServer() as upstream:
        files.add("/show", SHOW)
        index.add_wheel("hello", "1.0", files=CLI, scripts={"hello": "hello:main"})
        servers = {
            "files.company.invalid": files.port,
            "pypi.company.invalid": port_of(index.url),
            "mcp.company.invalid": port_of(upstream.url),
        }
        with CompanyProxy(tmp_path / "company", servers) as company:
            proxy.environ = company.environment()
            proxy.write_config(
                tools=[
                    planned("show", "https://files.company.invalid/show"),
                    planned("hello", "pypi:hello==1.0"),
                    planned("remote", f"mcp+https://mcp.company.invalid{urlsplit(upstream.url).path}"),
                ],
                policy={"allowedNetworks": []},
                pythonUrl=index.url.replace(f"http://127.0.0.1:{port_of(index.url)}", "https://pypi.company.invalid"),
            )
            proxy.start()

            assert {tool["state"] for tool in proxy.report()["tools"]} == {"ready"}
            assert output_of(proxy, "hello", "a") == "hello a\n"
            assert output_of(proxy, "show") == f"{company.url} {company.ca_file}\n"
            asked = {line.split()[1].rpartition(":")[0] for line in company.seen}

    assert asked >= set(servers)


def test_a_literal_address_inside_is_refused_also_with_a_proxy(proxy: ToolProxy, tmp_path: Path) -> None:
    with CompanyProxy(tmp_path / "company", {"x.invalid": 9}) as company:
        proxy.environ = company.environment()
        tools = [planned("down", "https://169.254.169.254/x") | {"required": False}]
        proxy.write_config(tools=tools, policy={"allowedNetworks": []})
        proxy.start()

        assert "allowedNetworks" in proxy.wait_for_state("down", "failed")["error"]
    assert company.seen == []
