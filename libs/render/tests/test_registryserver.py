"""Tools from a `server.json` of the MCP registry."""

from typing import Any

import pytest

from agent_api.agenttype import CustomTool
from agent_render import UnsupportedError
from agent_render.parts.registryserver import settings_of, source_of

NPM: dict[str, Any] = {
    "registryType": "npm",
    "registryBaseUrl": "https://registry.npmjs.org",
    "identifier": "@example/weather-mcp",
    "version": "1.4.0",
    "transport": {"type": "stdio"},
    "runtimeHint": "npx",
    "packageArguments": [
        {"type": "positional", "value": "serve"},
        {"type": "named", "name": "--units", "default": "metric"},
        {"type": "named", "name": "--debug"},
    ],
    "environmentVariables": [
        {"name": "WEATHER_KEY", "isRequired": True, "isSecret": True},
        {"name": "WEATHER_REGION", "default": "eu"},
    ],
}
REMOTE: dict[str, Any] = {
    "type": "streamable-http",
    "url": "https://weather.example.com/mcp",
    "headers": [{"name": "X-Key", "isRequired": True, "isSecret": True}],
}


def tool(config: dict[str, Any] | None = None, *, has_secret: bool = True, **document: Any) -> CustomTool:
    whole = {
        "$schema": "https://x",
        "name": "io.example/weather",
        "description": "Weather.",
        "version": "1",
        **document,
    }
    return CustomTool.model_validate(
        {
            "name": "weather",
            "serverJson": whole,
            "config": config,
            "credentialsSecret": "weather" if has_secret else None,
        }
    )


def test_a_package_becomes_a_server_with_its_arguments_variables_and_secrets() -> None:
    made = tool(packages=[{"registryType": "oci", "identifier": "x"}, NPM], remotes=[REMOTE])

    assert source_of(made) == "mcp+stdio:npm:@example/weather-mcp@1.4.0"
    settings = settings_of(made)
    assert settings["description"] == "Weather."
    assert settings["arguments"] == ["serve", "--units", "metric"]
    assert settings["environment"] == {"WEATHER_REGION": "eu"}
    assert settings["credentialEnvironment"] == {"WEATHER_KEY": "WEATHER_KEY"}


def test_a_remote_becomes_a_server_at_its_address() -> None:
    made = tool(packages=[{**NPM, "transport": {"type": "sse"}}], remotes=[{"type": "sse", "url": "x"}, REMOTE])

    assert source_of(made) == "mcp+https://weather.example.com/mcp"
    assert settings_of(made)["headerCredentials"] == {"X-Key": "X-Key"}
    assert settings_of(tool({"oauth": {}}, has_secret=False, remotes=[REMOTE]))["oauth"] == {}


def test_the_authors_configuration_is_laid_over_it() -> None:
    config = {
        "arguments": ["other"],
        "environment": {"WEATHER_KEY": "plain", "MORE": "1"},
        "constraints": ["ws@^8"],
    }
    settings = settings_of(tool(config, packages=[NPM]))

    assert settings["arguments"] == ["other"]
    assert settings["environment"] == {"WEATHER_REGION": "eu", "WEATHER_KEY": "plain", "MORE": "1"}
    assert settings["credentialEnvironment"] == {}
    assert settings["constraints"] == ["ws@^8"]
    mapped = settings_of(tool({"credentialEnvironment": {"WEATHER_KEY": "key"}}, packages=[NPM]))
    assert mapped["credentialEnvironment"] == {"WEATHER_KEY": "key"}


def test_a_python_package() -> None:
    package = {"registryType": "pypi", "identifier": "weather-mcp", "version": "2.0"}

    assert source_of(tool(packages=[package])) == "mcp+stdio:pypi:weather-mcp==2.0"


@pytest.mark.parametrize(
    "document,message",
    [
        ({}, "neither a package of npm or pypi on stdio nor a remote"),
        ({"packages": [{**NPM, "version": "latest"}]}, "has no version"),
        ({"packages": [{**NPM, "identifier": "a b"}]}, "which is not https"),
        ({"remotes": [{"type": "streamable-http", "url": "http://evil.example.com/mcp"}]}, "which is not https"),
        *(
            ({"remotes": [{"type": "streamable-http", "url": url}]}, "which is not https://HOST/PATH, without a user")
            for url in (
                "http://memory.agents:8080/mcp",
                "https://robot:pass@weather.example.com/mcp",
                "https://weather.example.com@evil.example.com/",
                "https://weather.example.com\\@evil.example.com/",
                "https:///mcp",
                "https://weather.example.com/ x",
            )
        ),
        ({"remotes": [{"type": "streamable-http", "url": "stdio:path:sh"}]}, "which is not https"),
        (
            {"packages": [{**NPM, "registryBaseUrl": "https://npm.example.com/"}]},
            "is in the registry https://npm.example",
        ),
        (
            {"packages": [{**NPM, "registryType": "pypi", "registryBaseUrl": "https://pypi.org.evil.example.com"}]},
            "is in the registry https://pypi.org.evil",
        ),
        ({"packages": [{**NPM, "registryBaseUrl": "http://registry.npmjs.org"}]}, "is in the registry http://"),
        ({"remotes": [{"type": "streamable-http", "url": "https://{tenant}.example.com/mcp"}]}, "has variables to be"),
        (
            {
                "packages": [
                    {
                        **NPM,
                        "packageArguments": [{"type": "positional", "value": "--dir={dir}", "variables": {"dir": {}}}],
                    }
                ]
            },
            "packageArguments: --dir={dir} has {dir} to be filled in",
        ),
        (
            {
                "packages": [
                    {
                        **NPM,
                        "environmentVariables": [{"name": "URL", "value": "https://{host}", "variables": {"host": {}}}],
                    }
                ]
            },
            "environmentVariables: URL has {host} to be filled in",
        ),
        ({"packages": "x"}, "packages: "),
        ({"packages": [{"identifier": "x"}]}, "packages.0.registryType: "),
        ({"packages": [{**NPM, "packageArguments": [{"type": "positional", "isRequired": True}]}]}, "a positional one"),
    ],
)
def test_a_document_that_cannot_be_used_is_one_message(document: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=f"tools.custom weather: serverJson .*{message}"):
        source_of(tool(**document))


def test_what_has_to_be_filled_in_is_what_the_configuration_says() -> None:
    variable = {"name": "URL", "value": "https://{host}", "variables": {"host": {}}}
    settings = settings_of(
        tool({"environment": {"URL": "https://a"}}, packages=[{**NPM, "environmentVariables": [variable]}])
    )
    assert settings["environment"] == {"URL": "https://a"}
    braces = {"type": "positional", "value": '{"json": true}'}
    assert settings_of(tool(packages=[{**NPM, "packageArguments": [braces]}]))["arguments"] == ['{"json": true}']


def test_a_header_with_a_value_is_not_dropped_in_silence() -> None:
    remote = {**REMOTE, "headers": [{"name": "X-Region", "value": "eu"}]}
    with pytest.raises(UnsupportedError, match="X-Region is required"):
        settings_of(tool(has_secret=False, remotes=[remote]))
    assert settings_of(tool(remotes=[remote]))["headerCredentials"] == {"X-Region": "X-Region"}


@pytest.mark.parametrize("document,name", [({"packages": [NPM]}, "WEATHER_KEY"), ({"remotes": [REMOTE]}, "X-Key")])
def test_a_secret_that_is_required_has_to_be_given(document: dict[str, Any], name: str) -> None:
    with pytest.raises(UnsupportedError, match=f"{name} is required"):
        settings_of(tool(has_secret=False, **document))


def test_an_address_with_a_password_is_not_repeated() -> None:
    remote = {"type": "streamable-http", "url": "https://robot:c4nary@weather.example.com/mcp"}
    with pytest.raises(UnsupportedError) as refused:
        source_of(tool(remotes=[remote]))
    assert "c4nary" not in str(refused.value)


def test_a_secret_with_a_default_is_read_from_the_secret_that_is_given() -> None:
    package = {**NPM, "environmentVariables": [{"name": "KEY", "default": "changeme", "isSecret": True}]}

    settings = settings_of(tool(packages=[package]))
    assert settings["credentialEnvironment"] == {"KEY": "KEY"}
    assert settings["environment"] == {}
    assert settings_of(tool(has_secret=False, packages=[package]))["environment"] == {"KEY": "changeme"}


def test_what_is_optional_and_has_no_value_is_left_to_the_author() -> None:
    optional = {"name": "EXTRA", "isSecret": True}
    package = {**NPM, "environmentVariables": [*NPM["environmentVariables"], optional]}
    remote = {**REMOTE, "headers": [*REMOTE["headers"], optional]}

    assert settings_of(tool(packages=[package]))["credentialEnvironment"] == {"WEATHER_KEY": "WEATHER_KEY"}
    assert settings_of(tool(remotes=[remote]))["headerCredentials"] == {"X-Key": "X-Key"}
    named = settings_of(tool({"credentialEnvironment": {"EXTRA": "extra"}}, packages=[package]))
    assert named["credentialEnvironment"] == {"WEATHER_KEY": "WEATHER_KEY", "EXTRA": "extra"}
    mapped = settings_of(tool({"headerCredentials": {"EXTRA": "extra"}}, remotes=[remote]))
    assert mapped["headerCredentials"] == {"X-Key": "X-Key", "EXTRA": "extra"}
