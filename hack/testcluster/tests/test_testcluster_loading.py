"""Which images an archive holds."""

import hashlib
import json
import tarfile
from pathlib import Path

from testcluster.archive import write_image
from testcluster.loading import images_in


def test_a_docker_archive_names_its_tags_with_the_hash_of_each_configuration(tmp_path: Path) -> None:
    program, archive = tmp_path / "program", tmp_path / "image.tar"
    program.write_bytes(b"#!/bin/true")
    write_image(archive, program=program, tag="localhost/some:1", architecture="amd64")

    found = images_in(archive)

    with tarfile.open(archive) as content:
        member = content.extractfile(f"{found['localhost/some:1']}.json")
        assert member is not None
        configuration = member.read()
    assert hashlib.sha256(configuration).hexdigest() == found["localhost/some:1"]
    assert json.loads(configuration)["architecture"] == "amd64"


def test_an_archive_of_another_kind_names_none_and_is_loaded_each_time(tmp_path: Path) -> None:
    index, archive = tmp_path / "index.json", tmp_path / "oci.tar"
    index.write_text('{"schemaVersion": 2, "manifests": []}')
    with tarfile.open(archive, "w") as content:
        content.add(index, "index.json")

    assert images_in(archive) == {}
