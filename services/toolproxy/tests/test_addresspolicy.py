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
