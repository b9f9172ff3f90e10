#!/usr/bin/env python3
"""Prints what building, running and testing the package needs: one place, pyproject.toml, holds the list."""
import pathlib
import re

text = pathlib.Path(__file__).with_name("..").joinpath("pyproject.toml").read_text()
for name in ("requires", "dependencies", "test"):
    body = re.search(rf"^{name} = \[(.*?)\]\s*$", text, re.M | re.S).group(1)
    print("\n".join(re.findall(r'"([^"]+)"', body)))
