"""Hooks of the documentation site: pages from beside docs/, and links that hold in the repository and in the site."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "SECURITY.md": "SECURITY.md",
    "bench/peers/README.md": "bench/peers.md",
    "examples/covid19/README.md": "examples/covid19.md",
    "examples/serve/README.md": "examples/serve.md",
    "packages/oncefold-lab/README.md": "packages/oncefold-lab.md",
    "packages/oncefold-workshop/README.md": "packages/oncefold-workshop.md",
}
"""Pages that are not in docs/: path in the repository, path in the site."""

SOURCES = {page: path for path, page in PAGES.items()}

FENCED = re.compile(r"(^```.*?^```$|^~~~.*?^~~~$)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages from beside docs/."""
    for path, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """Make a page's links those of the site; a link to a file that is no page becomes its text."""
    here = SOURCES.get(page.file.src_uri, posixpath.join("docs", page.file.src_uri))
    parts = FENCED.split(markdown)
    parts[::2] = [LINK.sub(lambda found: _link(found, here, page.file.src_uri, files), part) for part in parts[::2]]
    return "".join(parts)


def _link(found: re.Match[str], here: str, page: str, files: Files) -> str:
    """One link of the file `here`, which is the page `page`."""
    image, text, target = found.groups()
    path, hash_, anchor = target.partition("#")
    if not path or ":" in path:
        return found[0]
    file = posixpath.normpath(posixpath.join(posixpath.dirname(here), path))
    if not (ROOT / file).exists():
        return found[0]  # mkdocs says that it is not there
    site = PAGES.get(file, file.removeprefix("docs/"))
    there = files.get_file_from_path(site)
    if there is None or there.inclusion.is_excluded() or (file not in PAGES and not file.startswith("docs/")):
        return text
    return f"{image}[{text}]({posixpath.relpath(site, posixpath.dirname(page) or '.')}{hash_}{anchor})"
