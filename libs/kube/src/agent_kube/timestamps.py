"""Times as the API server writes them. Always UTC: a local time with a `Z` is a lie that expires leases."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def micro_time(moment: datetime) -> str:
    """A MicroTime: six digits, as leases and events want it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
