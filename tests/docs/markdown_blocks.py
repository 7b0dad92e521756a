"""The pages that a reader is given, their code blocks and their links."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples/bank/README.md")
]

# The comment above a block that nobody can run here, and why.
_NOT_RUN: Final = re.compile(r"<!--\s*not run:\s*(?P<reason>.+?)\s*-->", re.DOTALL)
_markdown: Final = MarkdownIt("commonmark").enable("table")


class Block(NamedTuple):
    """One fenced block.

    Args:
        page: The page's path in the repository.
        line: Where its code begins, counted from 1.
        language: What stands behind the fence.
        text: The code.
        not_run: Why it is not run; None where it is.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str | None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def parsed(page: str) -> list[Token]:
    """Return a page's tokens."""
    return _markdown.parse((ROOT / page).read_text(encoding="utf-8"))


def blocks_of(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page in order."""
    comment = None
    for token in parsed(page):
        if token.type == "html_block":
            comment = token.content
        elif token.type == "fence":
            assert token.map is not None
            found = _NOT_RUN.search(comment or "")
            yield Block(page, token.map[0] + 2, token.info, token.content, found and found["reason"])
            comment = None
        else:
            comment = None


def links_of(page: str) -> Iterator[str]:
    """Yield the targets of a page's links and images."""
    for token in parsed(page):
        for child in token.children or ():
            if (target := child.attrs.get("href") or child.attrs.get("src")) is not None:
                yield str(target)


def anchors_of(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them of their text."""
    tokens = parsed(page)
    return {
        re.sub(r"[^\w\- ]", "", inline.content.replace("`", "").lower()).replace(" ", "-")
        for opening, inline in itertools.pairwise(tokens)
        if opening.type == "heading_open"
    }
