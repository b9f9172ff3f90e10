#!/usr/bin/env python3
"""Prints what building, running and testing the package needs, or the lists named: one place, pyproject.toml, holds them."""
import pathlib
import re
import sys

text = pathlib.Path(__file__).with_name("..").joinpath("pyproject.toml").read_text()
for name in sys.argv[1:] or ("requires", "dependencies", "test"):
    body = re.search(rf"^{name} = \[(.*?)\]\s*$", text, re.M | re.S).group(1)
    print("\n".join(re.findall(r'"([^"]+)"', body)))
