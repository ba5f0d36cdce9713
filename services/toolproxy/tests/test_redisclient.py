import pytest

from agent_toolproxy.memory.redisclient import parse_redis_url


@pytest.mark.parametrize("url", ["http://h", "redis://", "redis://h/x", "h:6379"])
def test_urls_that_are_not_of_a_memory(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        parse_redis_url(url)


def test_a_memorys_url_is_taken_apart() -> None:
    address = parse_redis_url("rediss://user:p%40ss@h:1234/3")
    assert (address.host, address.port, address.database, address.username, address.password, address.tls) == (
        "h", 1234, 3, "user", "p@ss", True,
    )  # fmt: skip
