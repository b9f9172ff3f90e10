"""meson-python, but for an editable install that could not last.

One starts Ninja and Meson again at each import. Where pip or uv built it in an environment that they throw away afterwards, those are gone, and whoever
can write to /tmp may put programs in their place."""
import pathlib
import sys

import mesonpy
from mesonpy import *  # noqa: F403  the other hooks

_THROWN_AWAY = ("pip-build-env-", "build-env-", ".tmp")  # of pip, build and uv


def build_editable(*arguments, **more):
    if any(part.startswith(_THROWN_AWAY) for part in pathlib.Path(mesonpy.__file__).parts):
        print("lc0rocm: an editable install needs its build tools to stay: python scripts/requirements.py requires dependencies > r.txt, "
              "pip install -r r.txt, then pip install --no-build-isolation -e .", file=sys.stderr)
        raise SystemExit(1)
    return mesonpy.build_editable(*arguments, **more)
