"""constraints.txt holds a version with hashes for each dependency, within the bounds of pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PINNED = re.compile(
    r"^([a-z0-9-]+)==(\S+)(?: ; [^\\]+)? \\\n((?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)


def declared():
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = content["project"]
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    return [*content["build-system"]["requires"], *project["dependencies"], *extras]


@pytest.fixture(scope="module")
def text():
    return (ROOT / "constraints.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("requirement", declared())
def test_every_dependency_is_pinned_within_its_bounds(requirement, text):
    wanted = Requirement(requirement)
    versions = [
        version for name, version, _ in PINNED.findall(text) if name == canonicalize_name(wanted.name)
    ]
    assert versions
    assert all(version in wanted.specifier for version in versions)


def test_every_line_is_a_pin_with_hashes_and_none_names_a_place(text):
    assert PINNED.sub("", text).strip().startswith("#")
    rest = [line for line in PINNED.sub("", text).splitlines() if line and not line.startswith("#")]
    assert rest == []
    assert "://" not in text


def test_the_files_of_all_systems_are_allowed(text):
    hashes = {name: found.count("--hash") for name, _, found in PINNED.findall(text)}
    assert hashes["torch"] >= 20  # Linux, macOS and Windows, for each version of Python
