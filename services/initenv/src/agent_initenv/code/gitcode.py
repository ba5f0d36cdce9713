"""Code from git: one revision, fetched shallow, checked out, and put in place without its history.

Submodules and files of Git LFS are fetched on request; a repository that has them says so. A server that refuses
a bare commit id is asked for everything instead, once.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from agent_api.initplan import GitCode
from agent_api.initreport import InitFault, StepName
from agent_api.layout import SHARED_CODE
from agent_initenv.code.gitaccess import Git
from agent_initenv.code.largefiles import fetch_large_files, find_pointers
from agent_initenv.context import StepContext
from agent_initenv.errors import StepError
from agent_initenv.index import PackageSource
from agent_initenv.retry import RetryPolicy
from agent_initenv.tree import is_inside, normalise_modes, remove, walk
from agent_initenv.volume import Stamp, digest

_SOME_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_FETCH: Final = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-gc")
_PREFIXES: Final = ("", "refs/", "refs/tags/", "refs/heads/")  # git's own order of preference
_SHOWN: Final = 3
_NO_REVISION: Final = re.compile(r"^$|^[-+/]|[\s:^~?*\[\\\x00-\x1f\x7f]|\.\.|@\{|//|\.lock$|/$")


class GitCodeStep:
    """Fetches the revision to /shared/code."""

    name: StepName = "code"

    def __init__(self, code: GitCode, context: StepContext, source: Callable[[], PackageSource]) -> None:
        self._code = code
        self._context = context
        self._source = source
        self._target = context.volume.locate(SHARED_CODE)
        self._repository = code.repository
        self.title = f"git revision {code.revision}"

    def is_current(self, stamp: Stamp, retry: RetryPolicy) -> bool:
        """Whether the revision still is the commit that was checked out; a branch or tag is asked for."""
        if not self._target.is_dir() or not stamp.fingerprint.startswith(self._input()):
            return False
        commit = stamp.fingerprint.rpartition(" ")[2]
        if _SOME_COMMIT.fullmatch(self._code.revision) and commit.startswith(self._code.revision):
            return True
        return commit == self._ask(self._open(), retry)

    def build(self, retry: RetryPolicy) -> Stamp:
        """Fetch to staging, then replace /shared/code."""
        inner = self._check()
        git = self._open()
        commit = retry.call(lambda: self._fetch(git, retry))
        clone = self._context.volume.staged(self.name)
        self._remove_history(clone)
        tree = self._find_tree(clone, inner)
        missing = list(self._find_missing(clone, tree))
        for text in missing:
            self._context.progress.note(self.name, text)
        detail = "; ".join([f"commit {commit}", *missing])
        stamp = Stamp(f"{self._input()} {commit}", detail=detail, size_bytes=normalise_modes(tree))
        self._context.volume.publish(self.name, tree, self._target, stamp)
        return stamp

    def _input(self) -> str:
        return digest(
            "git", self._code.repository, self._code.revision, self._code.path, self._code.submodules, self._code.lfs
        )

    def _open(self) -> Git:
        credentials = self._code.credentials
        folder = self._context.volume.locate(credentials) if credentials else None
        return Git(self._repository, folder, self._context, self._source().trust)

    def _check(self) -> PurePosixPath:
        inner = PurePosixPath(self._code.path.strip("/"))
        if ".." in inner.parts or (inner.parts and inner.parts[0] == ".git"):
            raise StepError(
                InitFault.PATH_ESCAPES,
                f"The path {self._code.path!r} is not a folder inside the repository.",
                "Give a path from the top of the repository, such as src/agent.",
            )
        if _NO_REVISION.search(self._code.revision):
            raise StepError(
                InitFault.PLAN_INVALID,
                f"The revision {self._code.revision!r} is not a branch, tag or commit id.",
                "Give a branch, a tag or a full commit id.",
            )
        return inner

    def _fetch(self, git: Git, retry: RetryPolicy) -> str:
        """Fetch and check out into a fresh repository, so that nothing of a failed attempt is used."""
        clone = self._context.volume.stage(self.name)
        git.run("begin", ["init", "--quiet"], clone, retry)
        task = f"fetch revision {self._code.revision}"
        found = "FETCH_HEAD"
        try:
            git.run(task, [*_FETCH, "--depth=1", "--", self._repository, self._code.revision], clone, retry)
        except StepError as error:
            if error.fault != InitFault.REVISION_NOT_FOUND or not _SOME_COMMIT.fullmatch(self._code.revision):
                raise
            everything = ["--", self._repository, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
            git.run(task, [*_FETCH, *everything], clone, retry)
            found = self._code.revision
        wanted = ["rev-parse", "--verify", "--end-of-options", f"{found}^{{commit}}"]
        commit = git.run(task, wanted, clone, retry).split()[-1]
        git.run(f"check out {commit}", ["checkout", "--quiet", "--detach", commit], clone, retry)
        if self._code.submodules:
            git.run("name the remote", ["config", "remote.origin.url", self._repository], clone, retry)
            git.run("fetch submodules", ["submodule", "--quiet", "update", "--init", "--recursive"], clone, retry)
        if self._code.lfs:
            self._context.programs.find("git-lfs")
            fetch_large_files(git, self._repository, clone, retry)
        return commit

    def _remove_history(self, clone: Path) -> None:
        remove(clone / ".git")
        if self._code.submodules:
            for entry in [Path(entry.path) for entry in walk(clone) if entry.name == ".git"]:
                remove(entry)

    def _find_missing(self, clone: Path, tree: Path) -> Iterator[str]:
        """What of the repository is not in the code, and would only be found out by the agent."""
        if not self._code.submodules and (clone / ".gitmodules").is_file():
            yield "submodules are not fetched, their folders are empty: set code.source.submodules: true"
        pointers = [os.path.relpath(pointer.path, tree) for pointer in find_pointers(tree)]
        if pointers:
            shown = ", ".join(pointers[:_SHOWN])
            cure = "" if self._code.lfs else "; set code.source.lfs: true"
            yield f"content of Git LFS is not fetched, {len(pointers)} of its pointers are in its place: {shown}{cure}"

    def _find_tree(self, clone: Path, inner: PurePosixPath) -> Path:
        tree = clone / inner
        if not is_inside(os.path.realpath(tree), os.path.realpath(clone)):
            raise StepError(
                InitFault.PATH_ESCAPES,
                f"The path {self._code.path!r} is a symbolic link that leaves the repository.",
            )
        if not tree.is_dir():
            raise StepError(
                InitFault.CODE_NOT_FOUND, f"The repository has no folder {self._code.path!r} at this revision."
            )
        return Path(os.path.realpath(tree))

    def _ask(self, git: Git, retry: RetryPolicy) -> str:
        """The commit that the remote's branch or tag is now; empty when it has none of that name."""
        revision = self._code.revision
        names = [f"{prefix}{revision}{peel}" for prefix in _PREFIXES for peel in ("^{}", "")]
        arguments = ["ls-remote", "--quiet", "--", self._repository, *names]
        task = f"ask for revision {revision}"
        listed = retry.call(lambda: git.run(task, arguments, self._context.private, retry))
        commits = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
        return next((commits[name] for name in names if name in commits), "")
