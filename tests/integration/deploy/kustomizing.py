"""The kustomizations of the tree, rendered by kubectl."""

import subprocess
from pathlib import Path

import yaml
from e2e.kubectl import Document
from integration.cluster import ROOT

DEPLOY = ROOT / "deploy"


def find_kustomizations(kind: str) -> list[Path]:
    """Folders with a kustomization of `kind`: Kustomization or Component."""
    files = sorted(DEPLOY.rglob("kustomization.yaml"))
    return [file.parent for file in files if yaml.safe_load(file.read_text())["kind"] == kind]


def render(folder: Path) -> list[Document]:
    """The objects, as `kubectl apply -k` would send them."""
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]
