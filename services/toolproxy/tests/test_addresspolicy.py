import asyncio

import pytest

from agent_base.proxies import ProxyRules
from agent_toolproxy.errors import AddressRefused, InstallError
from agent_toolproxy.network.addresspolicy import AddressPolicy, PolicyResolver

WIDE = ("0.0.0.0/0", "::/0")
BLOCKED = ("169.254.0.0/16", "168.63.129.16/32", "64:ff9b::/96")
SPELLINGS = [
    "2130706433", "017700000001", "0x7f000001", "0177.0.0.1", "0x7f.1", "127.1", "127.0.0.1.", "0", "0.0.0.0",  # noqa: S104 - refused
    "[::1]", "[::]", "[::7f00:1]", "[::ffff:7f00:1]", "[::ffff:127.0.0.1]", "[::ffff:0:7f00:1]", "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:0:0:0:0:80ff:fffe]", "[fd00::5efe:7f00:1]", "[fe80::1%25eth0]",
    "[fec0::1]", "[ff02::1]", "255.255.255.255", "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376",
    "[::ffff:a9fe:a9fe]", "[2002:a9fe:a9fe::]", "168.63.129.16", "2822734096", "\uff11\uff12\uff17.0.0.1",
    "\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021", "user@127.0.0.1", "127.0.0.1#@good.example",
]  # fmt: skip


@pytest.mark.parametrize(
    "address,permitted",
    [("93.184.216.34", True), ("2606:4700::1", True), ("10.1.2.3", False), ("127.0.0.1", False),
     ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False),  # noqa: S104 - refused
     ("::1", False), ("fe80::1%eth0", False), ("fd00::1", False), ("::ffff:10.0.0.1", False),
     ("64:ff9b::a00:1", False), ("2002:a00:1::", False), ("not an address", False)],
)  # fmt: skip
def test_only_public_addresses_are_permitted(address: str, permitted: bool) -> None:
    assert AddressPolicy().permits(address) is permitted


def test_networks_can_be_allowed() -> None:
    addresses = AddressPolicy(["10.0.0.0/8", "fd00::/8"])
    assert addresses.permits("10.1.2.3")
    assert addresses.permits("::ffff:10.0.0.1")
    assert addresses.permits("fd00::1")
    assert not addresses.permits("192.168.0.1")
    with pytest.raises(ValueError, match=r"."):
        addresses.allow(["nowhere"])


@pytest.mark.parametrize(
    "address,permitted",
    [("10.1.2.3", True), ("192.168.0.1", True), ("93.184.216.34", True), ("127.0.0.1", False), ("127.8.9.1", False),
     ("169.254.169.254", False), ("0.0.0.0", False), ("224.0.0.1", False), ("::1", False), ("::", False),  # noqa: S104 - refused
     ("fe80::1", False), ("::ffff:127.0.0.1", False), ("::ffff:169.254.169.254", False), ("64:ff9b::7f00:1", False),
     ("168.63.129.16", False), ("fd00:ec2::254", False), ("fd00::1", True)],
)  # fmt: skip
def test_a_wide_network_opens_neither_this_machine_nor_what_the_platform_blocks(address: str, permitted: bool) -> None:
    addresses = AddressPolicy(["0.0.0.0/0", "::/0"], ["168.63.129.16/32", "fd00:ec2::/32"])

    assert addresses.permits(address) is permitted
    assert AddressPolicy(["127.0.0.0/8"]).permits("127.0.0.1")
    assert not AddressPolicy(["127.0.0.0/8"], ["127.0.0.0/8"]).permits("127.0.0.1")


@pytest.mark.parametrize("networks", [(), WIDE], ids=["none", "wide"])
@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_an_address_leads_to_this_machine(host: str, scheme: str, networks: tuple[str, ...]) -> None:
    addresses = AddressPolicy(networks, BLOCKED)

    with pytest.raises(AddressRefused):
        asyncio.run(addresses.check_url(f"{scheme}://{host}/latest/meta-data"))


@pytest.mark.parametrize(
    "url", ["https://a\\@127.0.0.1/", "https://127.0.0.1:443:80/", "https:///x", "file:///etc/x", "//x"]
)
def test_a_url_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(InstallError):
        asyncio.run(AddressPolicy(WIDE).check_url(url))


def resolve(addresses: AddressPolicy, host: str, port: int, proxies: ProxyRules | None = None) -> int:
    """How many addresses there are."""

    async def ask() -> int:
        resolver = PolicyResolver(addresses, proxies.addresses if proxies else frozenset())
        return len(await resolver.resolve(host, port))

    return asyncio.run(ask())


def test_a_name_is_judged_by_what_it_leads_to_at_each_connection() -> None:
    with pytest.raises(AddressRefused):
        resolve(AddressPolicy(WIDE, BLOCKED), "localhost", 443)


def test_a_networks_proxy_opens_its_own_port_alone() -> None:
    rules = ProxyRules.from_environment({"HTTPS_PROXY": "http://localhost:3128", "NO_PROXY": "localhost"})

    assert resolve(AddressPolicy(), "localhost", 3128, rules)
    with pytest.raises(AddressRefused):
        resolve(AddressPolicy(), "localhost", 6379, rules)


@pytest.mark.parametrize("address", ["64:ff9b::808:808", "64:ff9b::a9fe:a9fe"])
def test_a_blocked_network_is_blocked_as_it_is_written(address: str) -> None:
    assert not AddressPolicy(WIDE, BLOCKED).permits(address)
