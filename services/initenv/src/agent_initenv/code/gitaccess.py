"""How git is run: with nothing of the system's or the user's configuration, and with mounted credentials.

A secret is never an argument, part of a url or a variable. For http(s) git asks a small program for it, which
answers only for the host of the repository, so that a redirect cannot lead it elsewhere. For ssh the key is a
private copy, because ssh refuses one that a group can read.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agent_api.initreport import InitFault
from agent_initenv.context import StepContext
from agent_initenv.errors import StepError
from agent_initenv.faults import explain
from agent_initenv.retry import RetryPolicy

_SCP: Final = re.compile(r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9._-]+:(?!//).+")
_CONFIG: Final = """\
[safe]
    directory = *
[core]
    hooksPath = /dev/null
[credential]
    helper =
[transfer]
    bundleURI = false
[advice]
    detachedHead = false
[init]
    defaultBranch = main
[http]
    lowSpeedLimit = 100
    lowSpeedTime = 60
"""
_ASKPASS: Final = """\
#!/bin/sh
case "$1" in
  "Username for '$AGENTBERTH_GIT_SCHEME://$AGENTBERTH_GIT_HOST"[\\'/]*)
    if [ -f "$AGENTBERTH_GIT_FOLDER/username" ]; then cat -- "$AGENTBERTH_GIT_FOLDER/username"
    else echo git; fi ;;
  "Password for '$AGENTBERTH_GIT_SCHEME://"*"@$AGENTBERTH_GIT_HOST"[\\'/]*)
    cat -- "$AGENTBERTH_GIT_FOLDER/password" ;;
  *) exit 1 ;;
esac
"""


def protocol_of(repository: str) -> str:
    """The one protocol that git may use for `repository`: https, http, ssh or file.

    Raises StepError (PlanInvalid) for anything else, and for a url with a password in it.
    """
    if repository.startswith("/"):
        return "file"
    parts = urlsplit(repository)
    if parts.scheme in {"https", "http", "ssh"} and parts.hostname:
        if parts.password or (parts.scheme != "ssh" and parts.username):
            raise StepError(
                InitFault.PLAN_INVALID,
                "The url of the repository has credentials in it.",
                "Take them out of the url and name a Secret in spec.agent.code.source.credentialsSecret.",
            )
        return parts.scheme
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        return "file"
    if not repository.startswith("-") and "::" not in repository and _SCP.fullmatch(repository):
        return "ssh"
    raise StepError(
        InitFault.PLAN_INVALID,
        f"The repository {repository!r} is no https, http or ssh url and no absolute path.",
        "Give a url such as https://host/group/name.git, or ssh://git@host/group/name.git.",
    )


class Git:
    """Runs git for one repository. `credentials` is the mounted folder, `trust` variables for a private CA."""

    def __init__(
        self, repository: str, credentials: Path | None, context: StepContext, trust: Mapping[str, str]
    ) -> None:
        self._context = context
        self._protocol = protocol_of(repository)
        self._folder = context.private / "git"
        self._folder.mkdir(exist_ok=True)
        (self._folder / "config").write_text(_CONFIG)
        self._env = {
            **context.environment,
            **trust,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._folder / "config"),
            "GIT_ALLOW_PROTOCOL": self._protocol,
            "GIT_TEMPLATE_DIR": "",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        if self._protocol == "ssh":
            self._env["GIT_SSH_COMMAND"] = self._ssh(credentials)
        elif credentials is not None and (credentials / "password").is_file():
            self._env |= self._askpass(repository, credentials)

    def run(
        self,
        task: str,
        arguments: Sequence[str],
        cwd: Path,
        retry: RetryPolicy,
        *,
        largest_file_bytes: int | None = None,
    ) -> str:
        """The output of `git <arguments>`. Raises StepError; `task` completes "git could not ..."."""
        finished = self._context.programs.run(
            [self._context.programs.find("git"), *arguments],
            env=self._env,
            cwd=cwd,
            timeout_s=retry.left_s(),
            largest_file_bytes=largest_file_bytes,
        )
        if finished.code != 0:
            raise explain("git", task, finished.output)
        return finished.output

    def _askpass(self, repository: str, credentials: Path) -> dict[str, str]:
        self._context.redactor.add((credentials / "password").read_text().strip())
        program = self._folder / "askpass"
        program.write_text(_ASKPASS)
        program.chmod(0o700)
        parts = urlsplit(repository)
        return {
            "GIT_ASKPASS": str(program),
            "AGENTBERTH_GIT_FOLDER": str(credentials),
            "AGENTBERTH_GIT_SCHEME": parts.scheme,
            "AGENTBERTH_GIT_HOST": parts.netloc,
        }

    def _ssh(self, credentials: Path | None) -> str:
        command = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"]
        key = credentials / "ssh-privatekey" if credentials else None
        if key is not None and key.is_file():
            private = self._folder / "key"
            private.touch(mode=0o600)
            private.write_text(f"{key.read_text().strip()}\n")
            command += ["-i", str(private), "-o", "IdentitiesOnly=yes"]
        known = credentials / "known_hosts" if credentials else None
        if known is not None and known.is_file():
            command += ["-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes"]
        else:
            self._context.progress.note("code", "the Secret has no known_hosts: the host's key is trusted as it comes")
            command += [
                "-o",
                f"UserKnownHostsFile={self._folder / 'known_hosts'}",
                "-o",
                "StrictHostKeyChecking=accept-new",
            ]
        return shlex.join(command)
