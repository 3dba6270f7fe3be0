"""Makes the site of Markdown files whose links are those of the repository, as on GitHub.

MkDocs knows the files in docs/. What pages link to outside of it becomes a page as well, at the
path that it has in the repository: Markdown as it is, other text as a block of code. So does a
folder, as a list of its files. README.md is the first page.
"""

import functools
import pathlib
import posixpath
import re

from mkdocs.structure.files import File, InclusionLevel

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?<=\]\()[^)#\s:]+(?=[)#])")  # the path in [text](path) and [text](path#anchor)
LANGUAGES = {".py": "python", ".sh": "bash", ".yaml": "yaml", ".cff": "yaml"}

_folders: dict[str, str] = {}  # URI of a page -> the folder, in the repository, of its text


def on_files(files, config):
    """Adds README.md, and all that pages link to."""
    _folders.clear()
    waiting = list(files.documentation_pages())
    for file in waiting:
        _folders[file.src_uri] = posixpath.join("docs", posixpath.dirname(file.src_uri))
    waiting.append(_add(files, config, "README.md"))
    while waiting:
        page = waiting.pop()
        for link in LINK.findall(page.content_string):
            path = _target(page, link)
            if path is not None and files.get_file_from_path(_uri(path)) is None:
                waiting.append(_add(files, config, path))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns the links of the repository into those of the site; MkDocs reports any other."""
    return LINK.sub(functools.partial(_site_link, page.file), markdown)


def _site_link(file, found):
    path = _target(file, found[0])
    start = posixpath.dirname(file.src_uri) or "."
    return found[0] if path is None else posixpath.relpath(_uri(path), start)


def _target(file, link):
    """The path, in the repository, of what a page links to; None if it is not there."""
    path = posixpath.normpath(posixpath.join(_folders[file.src_uri], link))
    if (ROOT / path / "README.md").exists():
        path = f"{path}/README.md"
    return path if not path.startswith("..") and (ROOT / path).exists() else None


def _uri(path):
    """The path, in the site's sources, of a file or folder of the repository."""
    if path == "README.md":
        return "index.md"
    if (ROOT / path).is_dir():
        path = f"{path}/index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return path if path.endswith(".md") else f"{path}.md"


def _add(files, config, path):
    """Makes a page of a file or folder of the repository."""
    source, uri = ROOT / path, _uri(path)
    if source.is_dir():
        names = sorted(child.name for child in source.iterdir())
        text = f"# {path}\n\n" + "".join(f"- [{name}]({name})\n" for name in names)
    else:
        text = source.read_text()
    if source.is_file() and source.suffix != ".md":
        text = f"# {path}\n\n```{LANGUAGES.get(source.suffix, 'text')}\n{text.rstrip()}\n```\n"
    file = File.generated(config, uri, content=text, inclusion=InclusionLevel.NOT_IN_NAV)
    files.append(file)
    _folders[uri] = path if source.is_dir() else posixpath.dirname(path)
    return file
