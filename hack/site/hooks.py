"""Hooks of mkdocs: pages that live outside of docs/, links to them, and `FOLDER/*` in the navigation.

A link that is right in the tree is right on the site: one that leaves docs/ for a page in PAGES leads to that page, any
other that leaves it becomes plain text, because the site does not carry the tree.
"""

import os
import re
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = MappingProxyType(
    {
        "CONTRIBUTING.md": "project/CONTRIBUTING.md",
        "CHANGELOG.md": "project/CHANGELOG.md",
        "THREAT_MODEL.md": "project/THREAT_MODEL.md",
        "examples/README.md": "project/examples.md",
        "libs/kit/README.md": "development/kit.md",
        "libs/kube/README.md": "development/operator-runtime.md",
    }
)
"""Page of the site by file of the tree."""
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
_FENCE = re.compile(r"(^```.*?^```\s*$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages that are not below docs/."""
    for source, page in PAGES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links that leave docs/ into links of the site."""
    del config, files
    uri = page.file.src_uri
    source = next((s for s, p in PAGES.items() if p == uri), f"docs/{uri}")
    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _linked(part, source, uri) for part in parts)


def _linked(text: str, source: str, uri: str) -> str:
    def replace(match: re.Match[str]) -> str:
        target = match["target"]
        if ":" in target:
            return match.group()
        path = os.path.normpath(PurePosixPath(source).parent / target)
        there = path.removeprefix("docs/") if path.startswith("docs/") else PAGES.get(path)
        if there is None or (ROOT / path).is_dir():
            return match["text"] if (ROOT / path).exists() else match.group()
        link = os.path.relpath(there, PurePosixPath(uri).parent)
        return f"{match['image']}[{match['text']}]({link}{match['anchor'] or ''})"

    return _LINK.sub(replace, text)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Writes out `FOLDER/*` of the navigation."""
    if config.nav is not None:
        named = set(_named(config.nav))
        config.nav = _expanded(config.nav, named)
    return config


def _named(entries: list[Any]) -> list[str]:
    found: list[str] = []
    for entry in entries:
        values = list(entry.values()) if isinstance(entry, dict) else [entry]
        for value in values:
            found += _named(value) if isinstance(value, list) else [value]
    return found


def _expanded(entries: list[Any], named: set[str]) -> list[Any]:
    found: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            found.append({k: _expanded(v, named) if isinstance(v, list) else v for k, v in entry.items()})
        elif entry.endswith("/*"):
            found += _pages(entry.removesuffix("/*"), named)
        else:
            found.append(entry)
    return found


def _pages(folder: str, named: set[str]) -> list[str]:
    there = {f"{folder}/{file.name}" for file in (ROOT / "docs" / folder).glob("*.md")}
    return sorted((there | {page for page in PAGES.values() if page.startswith(f"{folder}/")}) - named)
