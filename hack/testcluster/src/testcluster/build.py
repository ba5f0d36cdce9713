"""Builds the cluster's programs from Go modules, once per version of their sources.

Every program is put in place by one rename when it is whole, so a build that is killed leaves nothing that
looks like a program, and a second build takes over where the first one ended (the compiler keeps what it
had finished).
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .cache import cache_dir, digest, locked, read_tree, replace_text
from .errors import BuildError, MissingProgramError
from .progress import run_noted

GO_MODULE = Path(__file__).resolve().parents[2] / "go"
COREDNS = "github.com/coredns/coredns@v1.15.0"
KWOK_MODULE, KWOK_VERSION = "sigs.k8s.io/kwok", "v0.8.0"
STAGES_FILE = "kwok-stages.yaml"
STAGE_FOLDERS = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
LINKER_FLAGS = "-s -w"
SCRATCH_PREFIX = ".building-"


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """The Go that builds, and the environment it builds in."""

    version: str
    architecture: str
    environ: Mapping[str, str]


def find_toolchain(environ: Mapping[str, str]) -> Toolchain:
    """The `go` on the PATH. Raises MissingProgramError when there is none."""
    if not shutil.which("go", path=environ.get("PATH")):
        raise MissingProgramError(
            "go is not on the PATH: install Go >= 1.24 (https://go.dev/dl), or set KUBEBUILDER_ASSETS to a folder"
            " with etcd and kube-apiserver and start the control plane alone"
        )
    env = {**environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    found = subprocess.run(
        ["go", "env", "GOVERSION", "GOARCH"], cwd=GO_MODULE, env=env, check=True, capture_output=True, text=True
    )
    version, architecture = found.stdout.split()
    return Toolchain(version=version, architecture=architecture, environ=env)


def kubernetes_version(go_mod: str) -> str:
    """The version that a go.mod requires, such as `v1.34.4`."""
    match = re.search(r"^\s*k8s\.io/kubernetes (v\d+\.\d+\.\d+)$", go_mod, re.MULTILINE)
    if not match:
        raise BuildError("go.mod does not require k8s.io/kubernetes at a release")
    return match[1]


def version_flags(version: str) -> str:
    """Linker flags that make every component report `version`, as a released binary does."""
    major, minor, _ = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = [f"-X {package}.{name}={value}" for package in packages for name, value in values.items()]
    return " ".join([LINKER_FLAGS, *stamps])


class Programs:
    """The folder of built programs that belongs to the sources as they are now."""

    def __init__(self, *, toolchain: Toolchain, cache: Path, module: Path = GO_MODULE) -> None:
        self._toolchain = toolchain
        self._module = module
        facts = (toolchain.version, toolchain.architecture, COREDNS, KWOK_MODULE, KWOK_VERSION, LINKER_FLAGS)
        sources = read_tree(module, suffixes=(".go", ".mod", ".sum"))
        self.folder = cache / "testcluster" / digest(sources, facts=facts)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that are not built yet."""
        return [name for name in names if not (self.folder / name).exists()]

    def ensure(self, names: Iterable[str]) -> Path:
        """Builds what is missing, one builder at a time, and returns the folder. Raises BuildError."""
        wanted = list(names)
        if self.missing(wanted):
            with locked(self.folder.with_suffix(".lock")):
                self._build(self.missing(wanted))
        return self.folder

    def _build(self, names: list[str]) -> None:
        if not names:
            return
        print(f"building {', '.join(names)} into {self.folder}", flush=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        for remains in self.folder.glob(f"{SCRATCH_PREFIX}*"):
            shutil.rmtree(remains)
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=self.folder) as scratch:
            if set(names) & set(COMPONENTS):
                self._build_kubernetes(Path(scratch))
            if "pause" in names:
                self._build_package("./pause", name="pause", flags=LINKER_FLAGS, scratch=Path(scratch))
            if "coredns" in names:
                self._install(COREDNS, scratch=Path(scratch))
            if "kwok" in names:
                self._write_stages()
                self._install(f"{KWOK_MODULE}/cmd/kwok@{KWOK_VERSION}", scratch=Path(scratch))

    def _build_kubernetes(self, scratch: Path) -> None:
        flags = version_flags(kubernetes_version((self._module / "go.mod").read_text()))
        self._build_package(".", name="kubernetes", flags=flags, scratch=scratch)
        for component in COMPONENTS:
            link = scratch / component
            link.symlink_to("kubernetes")
            link.replace(self.folder / component)

    def _build_package(self, package: str, *, name: str, flags: str, scratch: Path) -> None:
        target = scratch / name
        self._go("build", "-v", "-trimpath", "-ldflags", flags, "-o", str(target), package, label=name)
        target.replace(self.folder / name)

    def _install(self, package: str, *, scratch: Path) -> None:
        name = package.partition("@")[0].rpartition("/")[2]
        flags = ("-v", "-trimpath", "-ldflags", LINKER_FLAGS)
        self._go("install", *flags, package, label=name, env={"GOBIN": str(scratch)})
        (scratch / name).replace(self.folder / name)

    def _write_stages(self) -> None:
        """What kwok does to nodes and Pods is data of its module that `go install` leaves out."""
        source = f"{KWOK_MODULE}@{KWOK_VERSION}"
        result = subprocess.run(
            ["go", "mod", "download", "-json", source],
            cwd=self._module,
            env=self._toolchain.environ,
            check=False,
            capture_output=True,
            text=True,
        )
        if result.returncode:
            raise BuildError(f"go mod download {source} failed: {result.stdout}{result.stderr}")
        root = Path(json.loads(result.stdout)["Dir"]) / "kustomize" / "stage"
        replace_text(self.folder / STAGES_FILE, merge_stages(root))

    def _go(self, *arguments: str, label: str, env: Mapping[str, str] | None = None) -> None:
        argv = ["nice", "-n", "10", "go", *arguments]
        run_noted(argv, label=label, unit="packages", cwd=self._module, env={**self._toolchain.environ, **(env or {})})


def merge_stages(root: Path) -> str:
    """The stages of a node that is always ready and of Pods that start at once, as one YAML stream."""
    files = [
        path
        for folder in STAGE_FOLDERS
        for path in sorted((root / folder).glob("*.yaml"))
        if path.name != "kustomization.yaml"
    ]
    if not files:
        raise BuildError(f"kwok {KWOK_VERSION} has no stages below {root}")
    return "---\n".join(path.read_text().rstrip() + "\n" for path in files)


def find_programs(environ: Mapping[str, str] | None = None) -> Programs:
    """The programs of this tree in this user's cache. Raises MissingProgramError without Go."""
    env = os.environ if environ is None else environ
    return Programs(toolchain=find_toolchain(env), cache=cache_dir(env))
