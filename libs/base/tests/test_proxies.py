"""Which proxy a request goes through: names, networks and ports of NO_PROXY, as Go's programs read them."""

import pytest

from agent_base.proxies import ProxyRules, network_variables

PROXY = "http://proxy.company.example:3128"
OPENSHIFT = ".cluster.local,.svc,10.128.0.0/14,172.30.0.0/16,fd02::/112,127.0.0.1,api-int.company.example,localhost"


def through(url: str, no_proxy: str = "", **variables: str) -> str | None:
    environ = {"HTTPS_PROXY": PROXY, "HTTP_PROXY": "http://plain:80", "NO_PROXY": no_proxy, **variables}
    return ProxyRules.from_environment(environ).for_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://172.30.0.1:443/api",
        "https://10.131.255.255/",
        "https://[fd02::1]:443",
        "https://kubernetes.default.svc",
        "https://api-int.company.example:6443",
        "https://sub.api-int.company.example",
        "https://LOCALHOST/",
    ],
)
def test_what_openshift_names_is_reached_directly(url: str) -> None:
    assert through(url, OPENSHIFT) is None


@pytest.mark.parametrize(
    "url",
    ["https://10.132.0.1", "https://172.31.0.1", "https://api.openai.com", "https://xapi-int.company.example"],
)
def test_everything_else_goes_through_the_proxy(url: str) -> None:
    assert through(url, OPENSHIFT) == PROXY


@pytest.mark.parametrize(
    "url,no_proxy,direct",
    [
        ("https://a.example", "*", True),
        ("https://a.example", "a.example:443", True),
        ("https://a.example:8443", "a.example:443", False),
        ("https://10.0.0.1:6443", "10.0.0.1:6443", True),
        ("https://10.0.0.1:6443", "10.0.0.1", True),
        ("https://[fd12::7]:9", "[fd12::7]:9", True),
        ("https://[fd12::7]:9", "fd12::7", True),
        ("https://b.example", ".b.example", False),
        ("https://a.b.example", "*.b.example", True),
        ("https://a.example", " , a.example , ", True),
        ("https://a.example", "A.EXAMPLE.", True),
        ("https://a.example", "10.0.0.0/40", False),
        ("https://127.9.9.9", "", True),
        ("https://[::1]", "", True),
    ],
)
def test_an_entry_covers(url: str, no_proxy: str, direct: bool) -> None:
    assert (through(url, no_proxy) is None) is direct


def test_each_scheme_has_its_proxy_and_lower_case_wins() -> None:
    assert through("http://a.example") == "http://plain:80"
    assert through("https://a.example", https_proxy="other:1") == "http://other:1"
    assert ProxyRules.from_environment({"ALL_PROXY": PROXY}).for_url("https://a.example") == PROXY
    assert ProxyRules.from_environment({}).for_url("https://a.example") is None


def test_only_the_way_out_and_the_authorities_are_passed_on() -> None:
    environ = {"HTTPS_PROXY": PROXY, "no_proxy": "x", "SSL_CERT_FILE": "/ca", "AWS_SECRET_ACCESS_KEY": "s", "PATH": "/"}

    assert network_variables(environ) == {"HTTPS_PROXY": PROXY, "no_proxy": "x", "SSL_CERT_FILE": "/ca"}
