from agent_api.initreport import InitFault
from agent_initenv.errors import CURES


def test_every_fault_has_a_cure() -> None:
    assert set(CURES) == set(InitFault)
