import pytest

from agent_initenv.installers.semver import newest_of, satisfies


@pytest.mark.parametrize(
    "version,wanted,holds",
    [
        ("20.11.1", ">=18", True),
        ("20.11.1", ">=18 <20", False),
        ("20", ">=20.5.0", True),
        ("20.4.0", ">=20.5.0", False),
        ("18.0.0", "^18.2", False),
        ("18.3.0", "^18.2", True),
        ("19.0.0", "^18.2", False),
        ("18.2.9", "~18.2", True),
        ("18.3.0", "~18.2", False),
        ("16.1.0", "14 || 16 || 18", True),
        ("17.0.0", "14 || 16 || 18", False),
        ("18.5.0", "18.x", True),
        ("19.5.0", "18.x", False),
        ("21.0.0", "*", True),
        ("21.0.0", "", True),
        ("20.0.0", "18 - 20", True),
        ("20.9.0", "18 - 20", True),
        ("21.0.0", "18 - 20", False),
        ("20.0.0", ">20", False),
        ("21.0.0", ">20", True),
        ("20.9.9", "<=20", True),
        ("0.3.0", "^0.2.1", False),
        ("0.2.9", "^0.2.1", True),
        ("v22.1.0", ">= 18.0.0", True),
        ("22", "node-lts please", True),
        ("22.1.0", ">=18, <23", True),
        ("18.19.0", ">=18.17.0 <19.0.0 || >=20.5.0", True),
        ("19.0.0", ">=18.17.0 <19.0.0 || >=20.5.0", False),
    ],
)
def test_ranges(version: str, wanted: str, holds: bool) -> None:
    assert satisfies(newest_of(version), wanted) is holds
