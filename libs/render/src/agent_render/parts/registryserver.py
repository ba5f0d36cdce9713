"""A tool of an AgentType from a `server.json` of the MCP registry: its source, and the configuration that it implies.

Nothing is asked of the registry: the document stands in the AgentType, where it can be reviewed, and where its version
stays what it is.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from agent_api.agenttype import CustomTool
from agent_api.toolsources import TOOL_SOURCES, describe_forms, manifest_pattern
from agent_render.errors import UnsupportedError
from agent_render.parts.serverjson import Input, Remote, ServerJson, ServerPackage

_FORMS: Final = {"npm": "mcp+stdio:npm:{name}@{version}", "pypi": "mcp+stdio:pypi:{name}=={version}"}
_REGISTRIES: Final = {kind: TOOL_SOURCES[kind].index for kind in _FORMS}
_REMOTE: Final = "streamable-http"
_REMOTE_ADDRESS: Final = re.compile(r"https://[^\s/?#@\\]+([/?#]\S*)?")
"""A document of others names no address within the cluster that is asked in plain text, and no password."""
_ANY_VERSION: Final = ("", "latest")
_SOURCE: Final = re.compile(manifest_pattern())
_MERGED: Final = ("environment", "credentialEnvironment", "headerCredentials")


def source_of(tool: CustomTool) -> str:
    """Where the tool comes from. Raises UnsupportedError for a document that names nothing that can be used."""
    if tool.source is not None:
        return tool.source
    source = str(_implied(tool)["source"])
    if not _SOURCE.fullmatch(source):
        raise _unsupported(tool, f"leads to {source[:200]!r}, which is not {describe_forms(in_manifest=True)}")
    return source


def settings_of(tool: CustomTool) -> dict[str, Any]:
    """The tool's `config`, over what its document implies. Raises UnsupportedError."""
    own = tool.config or {}
    if tool.server_json is None:
        return own
    implied = _implied(tool)
    merged = {name: {**implied.get(name, {}), **_mapping(own.get(name))} for name in _MERGED if name in implied}
    return {**implied, **own, **{name: merged[name] for name in merged if isinstance(own.get(name, {}), dict)}}


def _mapping(value: object) -> Mapping[str, Any]:
    """What is no mapping is refused later, with the whole configuration."""
    return value if isinstance(value, dict) else {}


def _implied(tool: CustomTool) -> dict[str, Any]:
    document = _read(tool)
    package = next(filter(_is_runnable, document.packages), None)
    if package is not None:
        return {"description": document.description, **_of_package(tool, package)}
    remote = next((each for each in document.remotes if each.type == _REMOTE), None)
    if remote is not None:
        return {"description": document.description, **_of_remote(tool, remote)}
    raise _unsupported(tool, f"has neither a package of {' or '.join(_FORMS)} on stdio nor a remote of {_REMOTE}")


def _read(tool: CustomTool) -> ServerJson:
    try:
        return ServerJson.model_validate(tool.server_json)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _unsupported(tool, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _is_runnable(package: ServerPackage) -> bool:
    return package.registry_type in _FORMS and package.transport.type == "stdio"


def _of_package(tool: CustomTool, package: ServerPackage) -> dict[str, Any]:
    if package.version in _ANY_VERSION:
        raise _unsupported(tool, f"{package.identifier} has no version")
    _check_registry(tool, package)
    own, variables = tool.config or {}, package.environment_variables
    secrets = [each.name for each in variables if each.is_secret and each.is_wanted and tool.credentials_secret]
    plain = {each.name: each.given for each in variables if each.given is not None and each.name not in secrets}
    _require_filled(tool, "environmentVariables", variables, _mapping(own.get("environment")))
    credentials = {name: name for name in secrets if name not in _mapping(own.get("environment"))}
    known = {**plain, **credentials, **_mapping(own.get("environment")), **_mapping(own.get("credentialEnvironment"))}
    _require(tool, "environmentVariables", (each for each in variables if each.is_required), known)
    return {
        "source": _FORMS[package.registry_type].format(name=package.identifier, version=package.version),
        "arguments": [] if "arguments" in own else list(_arguments(tool, package.package_arguments)),
        "environment": plain,
        "credentialEnvironment": credentials,
    }


def _check_registry(tool: CustomTool, package: ServerPackage) -> None:
    """Another registry may have another package of that name: ours is not asked for it."""
    registry = package.registry_base_url.rstrip("/")
    if registry not in ("", _REGISTRIES[package.registry_type]):
        cure = "name the package in source, and the registry in tools.indexSecret"
        raise _unsupported(tool, f"{package.identifier} is in the registry {registry[:200]}: {cure}")


def _require_filled(tool: CustomTool, what: str, inputs: Iterable[Input], known: Mapping[str, object]) -> None:
    for each in inputs:
        if each.open_variables and each.name not in known:
            name = f"{{{each.open_variables[0]}}}"
            raise _unsupported(tool, f"{what}: {each.name or each.given} has {name} to be filled in: set it in config")


def _arguments(tool: CustomTool, inputs: tuple[Input, ...]) -> Iterable[str]:
    _require_filled(tool, "packageArguments", inputs, {})
    for each in inputs:
        if each.given is None and each.is_required:
            name = each.name or "a positional one"
            raise _unsupported(tool, f"packageArguments: {name} is required: set config.arguments")
        if each.given is not None:
            yield from ((each.name, each.given) if each.type == "named" else (each.given,))


def _of_remote(tool: CustomTool, remote: Remote) -> dict[str, Any]:
    if "{" in remote.url:
        raise _unsupported(tool, f"{remote.url[:200]} has variables to be filled in: write the address in source")
    if not _REMOTE_ADDRESS.fullmatch(remote.url):
        raise _unsupported(tool, "leads to an address which is not https://HOST/PATH, without a user and password")
    credentials = {each.name: each.name for each in remote.headers if each.is_wanted and tool.credentials_secret}
    own = _mapping((tool.config or {}).get("headerCredentials"))
    if "oauth" not in (tool.config or {}):
        needed = [each for each in remote.headers if each.is_wanted]
        _require(tool, "headers", needed, {**credentials, **own})
    return {"source": f"mcp+{remote.url}", "headerCredentials": credentials}


def _require(tool: CustomTool, what: str, inputs: Iterable[Input], known: Mapping[str, object]) -> None:
    missing = [each.name for each in inputs if each.name not in known]
    if missing:
        cure = "put it into the Secret of credentialsSecret under that name, or into config"
        raise _unsupported(tool, f"{what}: {', '.join(missing)} is required: {cure}")


def _unsupported(tool: CustomTool, problem: str) -> UnsupportedError:
    return UnsupportedError(f"tools.custom {tool.name}: serverJson {problem}")
