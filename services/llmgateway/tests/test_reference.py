"""The reference says what the code does."""

from pathlib import Path
from typing import get_args

import pytest

from agent_api.providers import PROVIDERS
from agent_kit.settings import describe
from agent_llmgateway import reference
from agent_llmgateway.http import openapi
from agent_llmgateway.mock.script import Fault
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.settings import GatewaySettings
from agent_llmgateway.wire.dialects import DIALECTS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "llmgateway.md").read_text()


def test_the_table_of_settings_is_the_codes() -> None:
    table = PAGE.partition("a test holds this table to the code -->\n")[2].partition("<!-- end of settings")[0]
    assert table.strip() == describe(GatewaySettings).strip()


def test_every_fault_path_and_provider_type_is_described() -> None:
    for fault in get_args(Fault):
        assert f"`{fault}`" in PAGE
    for dialect in DIALECTS.values():
        assert dialect.path.removeprefix("/v1/messages/") in PAGE
    for kind in PROVIDERS:
        assert kind in PAGE


def test_the_document_has_every_path_and_answers_for_each() -> None:
    document = openapi.make_openapi()
    assert {dialect.path for dialect in DIALECTS.values()} < set(document["paths"])
    for path in document["paths"].values():
        for operation in path.values():
            assert {"200", "404", "405"} <= set(operation["responses"])


def test_the_commands_print_what_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.print_settings([]) == 0
    assert capsys.readouterr().out == describe(GatewaySettings)
    assert reference.print_openapi([]) == 0
    published = Path(__file__).parents[3] / "docs" / "reference" / "llmgateway.openapi.json"
    assert capsys.readouterr().out == published.read_text()


def test_causes_are_words_for_labels() -> None:
    assert all(cause.value.replace("_", "").isalpha() for cause in Cause)
