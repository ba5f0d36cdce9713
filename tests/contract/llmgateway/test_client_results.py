"""The results that the page about clients is made of: of the pinned versions, whole, and good enough."""

import pytest
from contract.llmgateway.clients import matrix, results

ROWS = {row["name"]: row for row in results.load()["clients"]}


@pytest.mark.parametrize("client", matrix.CLIENTS, ids=lambda client: client.name)
def test_every_row_was_tried_with_the_pinned_versions(client: matrix.Client) -> None:
    row = ROWS[client.name]
    assert row["versions"] == results.versions_of(client), "run it again: AGENTBERTH_WHOLE=1"
    for target in matrix.TARGETS:
        tried = {feature for feature, outcome in row["cells"][target].items() if outcome is not None}
        assert tried == set(matrix.FEATURES) - set(client.limits)


def test_nearly_every_cell_works() -> None:
    outcomes = [outcome for row in ROWS.values() for cells in row["cells"].values() for outcome in cells.values()]
    assert outcomes.count(results.WORKS) >= 0.97 * len(outcomes)
