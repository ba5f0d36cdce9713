import subprocess
import sys
from pathlib import Path

import pytest
from agentimages.archives import archive_path, export
from agentimages.bases import BASES, BaseBuilder
from agentimages.cli import Built, build_image, find_dockerfile, table
from agentimages.context import content_of, copy_context, revision, sources_of
from agentimages.engine import RECIPE_LABEL, Engine, Recipe, host_mounts, parse_size, stream
from agentimages.errors import BuildFailedError, UnknownImageError
from agentimages.sbom import sbom_path


class MemoryEngine(Engine):
    """Builds nothing, but names, labels and exports what it was given, as a builder would."""

    def __init__(self) -> None:
        self.built: list[Recipe] = []
        self._images: dict[str, Recipe] = {}

    def build(self, recipe: Recipe) -> None:
        self.built.append(recipe)
        self._images[recipe.tag] = recipe

    def label(self, tag: str, name: str) -> str:
        return self._images[tag].labels.get(name, "") if tag in self._images else ""

    def identity(self, tag: str) -> str:
        built = [recipe for recipe in self.built if recipe.tag == tag]
        return f"{len(built):016x}".ljust(64, "0")

    def size_bytes(self, tag: str) -> int:
        return len(tag)

    def export(self, tag: str, target: Path) -> None:
        target.write_text(tag)


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init")
    (root / ".gitignore").write_text(".env\n.venv/\n")
    (root / "a").mkdir()
    (root / "a" / "kept.py").write_text("1")
    (root / "a" / "link.py").symlink_to("kept.py")
    (root / "gone.py").write_text("")
    git(root, "add", ".")
    git(root, "commit", "-m", "first")
    return root


def test_the_context_is_what_git_would_keep(repository: Path, tmp_path: Path) -> None:
    (repository / ".env").write_text("TOKEN=canary")
    (repository / ".venv").mkdir()
    (repository / ".venv" / "big").write_text("x")
    (repository / "a" / "new.py").write_text("2")
    (repository / "gone.py").unlink()
    copy_context(tmp_path / "context", repository)
    copied = {str(path.relative_to(tmp_path / "context")) for path in (tmp_path / "context").rglob("*")}
    assert copied == {".gitignore", "a", "a/kept.py", "a/link.py", "a/new.py"}
    assert (tmp_path / "context" / "a" / "link.py").is_symlink()


def test_times_are_kept_so_that_layers_are_reused(repository: Path, tmp_path: Path) -> None:
    copy_context(tmp_path / "context", repository)
    kept = "a/kept.py"
    assert (tmp_path / "context" / kept).stat().st_mtime_ns == (repository / kept).stat().st_mtime_ns


def test_the_revision_says_when_files_differ_from_it(repository: Path) -> None:
    clean = revision(repository)
    assert len(clean) == 12
    (repository / "a" / "kept.py").write_text("changed")
    assert revision(repository) == f"{clean}-dirty"


def test_the_revision_of_an_image_is_that_of_what_is_copied_into_it(repository: Path) -> None:
    dockerfile = repository / "Dockerfile"
    dockerfile.write_text("FROM x AS build\nCOPY a ./a\nFROM x\nCOPY --from=build /opt /opt\n")
    git(repository, "add", "Dockerfile")
    git(repository, "commit", "--quiet", "--message=image")
    sources = sources_of(dockerfile, repository)
    assert sources == ("Dockerfile", "a")
    first = revision(repository, sources)

    (repository / "elsewhere.md").write_text("more")
    assert revision(repository, sources) == first
    git(repository, "add", "elsewhere.md")
    git(repository, "commit", "--quiet", "--message=elsewhere")
    assert revision(repository, sources) == first != revision(repository)

    (repository / "a" / "kept.py").write_text("changed")
    assert revision(repository, sources) == f"{first}-dirty"


def test_outside_a_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildFailedError, match="not a git repository"):
        revision(tmp_path)


def test_an_archive_is_written_once_per_version(tmp_path: Path) -> None:
    engine = MemoryEngine()
    engine.build(Recipe(tag="localhost/x:1", dockerfile=tmp_path, context=tmp_path))
    first = export(engine, "localhost/x:1", tmp_path)
    first.write_text("untouched")
    assert export(engine, "localhost/x:1", tmp_path) == first
    assert first.read_text() == "untouched"
    engine.build(Recipe(tag="localhost/x:1", dockerfile=tmp_path, context=tmp_path))
    second = export(engine, "localhost/x:1", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [second.name]


def test_revisions_do_not_pile_up_but_named_versions_stay(tmp_path: Path) -> None:
    engine = MemoryEngine()
    for tag in ("dev-1111", "dev-2222-dirty", "v1", "v2"):
        engine.build(Recipe(tag=f"localhost/x:{tag}", dockerfile=tmp_path, context=tmp_path))
        export(engine, f"localhost/x:{tag}", tmp_path)
    left = sorted(path.name.partition(".")[0] for path in tmp_path.iterdir())
    assert left == ["x_dev-2222-dirty", "x_v1", "x_v2"]


def test_archives_of_different_images_do_not_meet(tmp_path: Path) -> None:
    names = {
        archive_path(tmp_path, tag, "f" * 64).name for tag in ("localhost/a/b:1", "localhost/a:1", "localhost/a:2")
    }
    assert len(names) == 3
    assert all("/" not in name and ":" not in name for name in names)


def make_builder(engine: Engine, cache: Path) -> BaseBuilder:
    builder = BaseBuilder(engine=engine, cache=cache, environ={})
    rootfs = cache / "rootfs" / f"{builder.recipe_hash(BASES['debian'])}.tar"
    rootfs.parent.mkdir(parents=True, exist_ok=True)
    rootfs.write_text("a root filesystem")
    return builder


def test_a_base_stands_on_debian_and_is_built_once(tmp_path: Path) -> None:
    engine = MemoryEngine()
    for _ in range(2):
        assert make_builder(engine, tmp_path).ensure("python") == BASES["python"]
    assert [recipe.tag for recipe in engine.built] == [BASES["debian"].tag, BASES["python"].tag]
    assert engine.built[1].arguments == {"BASE": BASES["debian"].tag}
    assert len({recipe.labels[RECIPE_LABEL] for recipe in engine.built}) == 2


def test_every_base_has_a_recipe() -> None:
    assert [base.name for base in BASES.values() if not base.dockerfile.is_file()] == []


def test_an_image_is_built_again_when_what_it_is_made_of_has_changed(tmp_path: Path) -> None:
    engine = MemoryEngine()
    source = tmp_path / "services" / "x" / "main.py"
    source.parent.mkdir(parents=True)
    (tmp_path / "elsewhere.md").write_text("1")
    dockerfile = tmp_path / "Dockerfile"

    def built(dockerfile_text: str = "COPY services/x ./\n", code: str = "1", **arguments: str) -> bool:
        dockerfile.write_text(dockerfile_text)
        source.write_text(code)
        before = len(engine.built)
        recipe = Recipe(tag="localhost/x:1", dockerfile=dockerfile, context=tmp_path, arguments=arguments)
        build_image(engine, recipe, content_of(tmp_path, ("Dockerfile", "services/x")))
        return len(engine.built) > before

    assert built()
    (tmp_path / "elsewhere.md").write_text("2")
    assert not built()
    assert built(code="2")
    assert not built(code="2")
    assert built(dockerfile_text="COPY services/x ./there\n", code="2")
    assert built(dockerfile_text="COPY services/x ./there\n", code="2", BASE="localhost/other:1")
    source.chmod(0o755)
    assert built(dockerfile_text="COPY services/x ./there\n", code="2", BASE="localhost/other:1")
    engine.build(Recipe(tag="localhost/other:1", dockerfile=dockerfile, context=tmp_path))
    assert built(dockerfile_text="COPY services/x ./there\n", code="2", BASE="localhost/other:1")
    assert not built(dockerfile_text="COPY services/x ./there\n", code="2", BASE="localhost/other:1")


def test_unknown_names_are_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownImageError, match="there are debian, python, nodejs, nginx, redis"):
        make_builder(MemoryEngine(), tmp_path).ensure("perl")
    with pytest.raises(
        UnknownImageError, match="there is no image perl; there are initenv, llmgateway, operator, toolproxy, cli"
    ):
        find_dockerfile("perl")


def test_own_certificate_authorities_are_mounted_into_build_steps() -> None:
    assert host_mounts({}) == {}
    mounts = host_mounts({"SSL_CERT_FILE": "/company/ca.pem"})
    assert mounts[Path("/company/ca.pem")] == Path("/etc/ssl/certs/ca-certificates.crt")
    assert [source for source in mounts if source.name == "uv.toml" and source.is_file()]


@pytest.mark.parametrize(
    "text,size_bytes", [("262 MB", 262_000_000), ("1.04 GB", 1_040_000_000), ("512 B", 512), ("3.5 KB", 3500)]
)
def test_sizes_are_read(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


def test_a_failing_builder_is_an_error() -> None:
    with pytest.raises(BuildFailedError, match="failed with 7"):
        stream([sys.executable, "-c", "raise SystemExit(7)"])


def test_the_shared_options_carry_arguments_and_labels(tmp_path: Path) -> None:
    recipe = Recipe(
        tag="localhost/x:1",
        dockerfile=tmp_path / "Dockerfile",
        context=tmp_path,
        arguments={"BASE": "localhost/b:1"},
        labels={"k": "v"},
    )
    assert {"--tag=localhost/x:1", "--build-arg=BASE=localhost/b:1", "--label=k=v"} <= set(recipe.options())


def test_a_replaced_archive_takes_its_document_along(tmp_path: Path) -> None:
    engine = MemoryEngine()
    recipe = Recipe(tag="localhost/x:1", dockerfile=tmp_path, context=tmp_path)
    engine.build(recipe)
    first = sbom_path(export(engine, recipe.tag, tmp_path))
    first.write_text("{}")
    engine.build(recipe)
    export(engine, recipe.tag, tmp_path)
    assert not first.exists()


def test_sizes_are_one_below_the_other(tmp_path: Path) -> None:
    said = table(
        [Built("localhost/a:1", 1_234_567_890, 1.25, tmp_path), Built("localhost/bb:1", 9_000_000, 60, tmp_path)]
    )
    assert said.splitlines() == [
        "image                size   built in",
        "localhost/a:1    1,235 MB      1.2 s",
        "localhost/bb:1       9 MB     60.0 s",
    ]
