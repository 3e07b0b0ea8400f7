"""A hook of mkdocs: links in notebooks lead to pages of the site, as those in Markdown do.

mkdocs-jupyter leaves them as they are written, such as ../guides/cells.md, which is right in a clone only.
"""

from __future__ import annotations

import logging
import posixpath
import re
from typing import Any

log = logging.getLogger("mkdocs.hooks.notebook_links")

_LINK = re.compile(r'href="(?![\w+.-]+:|[/#])([^"#]+\.(?:md|ipynb))(#[^"]*)?"')


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """The content of a page, with its links to other pages as those of the site.

    A link to a page that does not exist is a warning, which ends `mkdocs build --strict`.

    Args:
        html: the content of the page.
        page: of mkdocs.
        config: of mkdocs.
        files: of mkdocs: all files of the documentation.
    """
    source = page.file.src_uri

    def on_the_site(link: re.Match[str]) -> str:
        target = files.get_file_from_path(
            posixpath.normpath(posixpath.join(posixpath.dirname(source), link[1]))
        )
        if target is None:
            log.warning("%s links to %s, which is no page", source, link[1])
            return link[0]
        return f'href="{target.url_relative_to(page.file)}{link[2] or ""}"'

    return _LINK.sub(on_the_site, html) if source.endswith(".ipynb") else html
