"""A hook of mkdocs: pages of the site whose text stands elsewhere in the repository, with their links set right."""
import os
import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = {"index.md": "README.md", "contribute.md": "CONTRIBUTING.md", "changes.md": "CHANGELOG.md", "nets.md": "nets/README.md",
         "reference.md": "tests/reference/README.md", "training.md": "scripts/train/README.md"}


def on_files(files, config):
    for page, source in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links between files of the repository become links between pages; a file that is no page is named without a link. Shapes such as
    [out][in] are no links."""
    source = ROOT / PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    pages = {ROOT / "docs" / file.src_uri: file.src_uri for file in files} | {ROOT / text: name for name, text in PAGES.items()}

    def link(match):
        text, target, anchor = match.groups()
        if re.match(r"[a-z]+:", target):
            return match[0]
        goal = pages.get((source.parent / target).resolve() if target else source)
        if goal is None:
            return text
        return f"[{text}]({os.path.relpath(goal, os.path.dirname(page.file.src_uri) or '.')}{anchor or ''})"
    markdown = re.sub(r"\[([^\]\n]*)\]\(([^)\s#]*)(#[^)\s]*)?\)", link, markdown)
    return re.sub(r"`[^`\n]*`|\]\[", lambda match: match[0].replace("][", r"]\[") if match[0][0] == "]" else match[0], markdown)
