"""Settings from flags and environment variables, described once, in the dataclass that holds them.

One definition gives the value, its bounds, `--help`, the table in the reference and the error message, so none
of them can lag behind another. A service's settings are frozen and passed on; nobody reads the environment later.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, NoReturn, TypeVar, dataclass_transform, get_type_hints

from agent_base.redaction import MASK
from agent_kit.errors import SettingsError
from agent_kit.kinds import kind_of
from agent_kit.logs import LogFormat, LogLevel

PREFIX: Final = "AGENTBERTH_"
_LONGEST_SHOWN: Final = 80  # characters of a bad value that an error repeats

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class _Rule:
    description: str
    env: str | None
    at_least: float | None
    at_most: float | None
    secret: bool


@dataclass(frozen=True)
class Setting:
    """One setting, as a person meets it."""

    name: str
    env: str
    flag: str
    allowed: str
    default: object
    description: str
    secret: bool
    switch: bool
    parse: Callable[[str], object]

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING

    @property
    def shown_default(self) -> str:
        """The default in the form in which it would be given."""
        if self.required:
            return "required"
        if self.default is None or self.default in ((), ""):
            return "none"
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return ",".join(map(str, self.default)) if isinstance(self.default, tuple) else str(self.default)


def setting(
    default: T,
    description: str,
    *,
    env: str | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    secret: bool = False,
) -> T:
    """A field of a class decorated with `settings`.

    `env` replaces the variable's derived name. The bounds are inclusive and for numbers. A secret is left
    out of errors, of `repr` and of the reference.
    """
    rule = _Rule(description, env, at_least, at_most, secret)
    return field(default=default, repr=not secret, metadata={"rule": rule})


def required(
    description: str,
    *,
    env: str | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    secret: bool = False,
) -> Any:  # noqa: ANN401 - the annotation of the field is the type
    """A `setting` that has to be given."""
    rule = _Rule(description, env, at_least, at_most, secret)
    return field(repr=not secret, metadata={"rule": rule})


@dataclass_transform(frozen_default=True, kw_only_default=True)
def settings(cls: type[S]) -> type[S]:
    """Make a frozen, keyword-only dataclass of a class whose fields are `setting`s."""
    return dataclass(frozen=True, kw_only=True)(cls)


@settings
class ServiceSettings:
    """What every long-running service can be told."""

    log_level: LogLevel = setting("info", "Least severe level that is logged.")
    log_format: LogFormat = setting("auto", "Form of a log line; auto is text on a terminal and JSON elsewhere.")
    grace_s: float = setting(
        25.0, "Seconds that running work has to end after SIGTERM before it is cut off.", at_least=0, at_most=86400
    )
    cleanup_s: float = setting(
        3.0, "Seconds after that until the process forces its own exit.", at_least=0.1, at_most=600
    )
    ops_host: str | None = setting(None, "Address of the ops server; none means every address of the Pod.")
    ops_port: int = setting(0, "Port of the ops server; 0 takes a free one.", at_least=0, at_most=65535)
    ops_check_timeout_s: float = setting(
        1.0, "Seconds after which one health check counts as failed.", at_least=0.01, at_most=60
    )
    watch_interval_s: float = setting(
        1.0, "Seconds between two checks of a mounted file or folder for changes.", at_least=0.01, at_most=3600
    )
    watch_limit_bytes: int = setting(
        4 << 20, "Largest mounted file or folder that is read.", at_least=1024, at_most=64 << 20
    )
    otlp_endpoint: str | None = setting(
        None, "Base URL of an OTLP/HTTP collector; without one, nothing is traced.", env="OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    otlp_flush_s: float = setting(2.0, "Seconds to send the last spans when the process stops.", at_least=0, at_most=60)


def load(cls: type[S], argv: Sequence[str], environ: Mapping[str, str]) -> S:
    """`cls` from flags, else variables, else defaults; an empty variable counts as not set.

    Raises SettingsError with every problem at once, a line each. A ValueError of `cls.__post_init__` (a rule
    over several fields) becomes one too.
    """
    all_known = list_settings(cls)
    flags = vars(_flag_parser(all_known, "").parse_args(argv))
    values: dict[str, object] = {}
    problems: list[str] = []
    for known in all_known:
        given = flags[known.name]
        source, text = (known.flag, given) if given is not None else (known.env, environ.get(known.env) or None)
        if text is None and known.required:
            problems.append(f"{known.env} is not set: give it or {known.flag}, {known.allowed}. {known.description}")
        elif text is not None:
            try:
                values[known.name] = known.parse(text)
            except ValueError:
                shown = MASK if known.secret else repr(text[:_LONGEST_SHOWN])
                problems.append(f"{source}={shown} is not allowed: it must be {known.allowed}")
    if problems:
        raise SettingsError(problems)
    try:
        return cls(**values)
    except ValueError as error:
        raise SettingsError([str(error)]) from error


def list_settings(cls: type[Any]) -> tuple[Setting, ...]:
    """The settings of a dataclass, in the order of its fields; fields made without `setting` are not among them."""
    hints = get_type_hints(cls)
    found = []
    for each in fields(cls):
        if (rule := each.metadata.get("rule")) is None:
            continue
        kind = kind_of(hints[each.name], at_least=rule.at_least, at_most=rule.at_most)
        found.append(
            Setting(
                name=each.name,
                env=rule.env or PREFIX + each.name.upper(),
                flag="--" + each.name.replace("_", "-"),
                allowed=kind.allowed,
                default=each.default,
                description=rule.description,
                secret=rule.secret,
                switch=hints[each.name] is bool,
                parse=kind.parse,
            )
        )
    return tuple(found)


def describe(cls: type[Any]) -> str:
    """A Markdown table of the settings of `cls`, for the reference."""
    lines = ["| Variable | Flag | Default | Allowed | Meaning |", "|---|---|---|---|---|"]
    for known in list_settings(cls):
        default = MASK if known.secret and not known.required else known.shown_default
        cells = (f"`{known.env}`", f"`{known.flag}`", f"`{default}`", known.allowed, known.description)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def help_text(cls: type[Any], program: str) -> str:
    """What `--help` prints."""
    return _flag_parser(list_settings(cls), program).format_help()


class _FlagParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError([f"{message}; --help lists the flags"])


def _flag_parser(all_known: Sequence[Setting], program: str) -> _FlagParser:
    parser = _FlagParser(prog=program, allow_abbrev=False)
    for known in all_known:
        default = MASK if known.secret and not known.required else known.shown_default
        text = f"{known.description} [{known.env}; {known.allowed}; {default}]".replace("%", "%%")
        metavar = known.name.upper()
        if known.switch:
            parser.add_argument(known.flag, nargs="?", const="true", metavar="true|false", help=text)
        else:
            parser.add_argument(known.flag, metavar=metavar, help=text)
    return parser
