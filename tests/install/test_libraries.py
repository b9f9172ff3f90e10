"""What the installed package's libraries tell the dynamic linker: nothing outside of the package, which others might be able to
write. Runs on the package that the tests import, or on a wheel: LC0ROCM_WHEEL=dist/... (a folder of an installation, or a file)."""
import importlib.resources
import os
import pathlib
import re
import subprocess
import zipfile

import pytest


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> pathlib.Path:
    """A folder with everything that an installation brings."""
    wheel = os.environ.get("LC0ROCM_WHEEL")
    if not wheel:
        return pathlib.Path(str(importlib.resources.files("lc0rocm")))
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def dynamic(library: pathlib.Path) -> list[tuple[str, str]]:
    """(tag, value) of the entries of its dynamic section that have text, such as ("NEEDED", "libm.so.6")."""
    text = subprocess.run(["readelf", "--dynamic", "--wide", library], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\((\w+)\).*?\[(.*)\]", text)


def test_search_paths_and_names_stay_in_the_package(installed):
    libraries = [file for file in installed.rglob("*") if file.is_file() and file.open("rb").read(4) == b"\x7fELF"]
    assert {"liblc0rocm.so"} <= {file.name for file in libraries}
    outside = []
    for library in libraries:
        for tag, value in dynamic(library):
            if tag in ("RPATH", "RUNPATH"):
                for folder in value.split(":"):
                    relative = os.path.normpath(library.relative_to(installed).parent / folder.removeprefix("$ORIGIN").strip("/"))
                    if not folder.startswith("$ORIGIN") or relative.startswith(".."):
                        outside.append(f"{library.name}: {tag} {value}")
            elif tag == "NEEDED" and "/" in value:
                outside.append(f"{library.name}: {tag} {value}")
    assert not outside
