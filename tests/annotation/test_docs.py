"""The table of columns in docs/annotate.md is the schema."""
import pathlib
import re

from lc0rocm.annotation import parquet

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/annotate.md"


def test_columns():
    told = {}
    for names, kinds in re.findall(r"^\| (`\w+`[^|]*) \| ([^|]*) \|", PAGE.read_text(), re.M):
        columns, types = re.findall(r"`(\w+)`", names), [kind.strip() for kind in kinds.split(",")]
        told |= dict(zip(columns, types * len(columns) if len(types) == 1 else types + types[-1:] * len(columns)))
    words = {"int64": "int64", "int32": "int32", "string": "string", "float": "float", "bool": "bool", "list<item: string>": "list of string",
             "list<item: int32>": "list of int32", "list<element: string>": "list of string", "list<element: int32>": "list of int32"}
    assert told == {field.name: words[str(field.type)] for field in parquet.schema()}
