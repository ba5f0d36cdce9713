import pytest

from agent_toolproxy.network.addresspolicy import AddressPolicy


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
