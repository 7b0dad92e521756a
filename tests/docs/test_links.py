"""Links and names in README and docs lead somewhere."""

from __future__ import annotations

import re

import pytest
from tests.docs.markdown_blocks import PAGES, ROOT, anchors_of, links_of
from tests.docs.reader import OTHER_VARIABLES

from zentra_otel_posthog import config


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Each relative link names a file of the repository, and its anchor a heading there."""
    for target in links_of(page):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (ROOT / page).parent.joinpath(path).resolve().relative_to(ROOT).as_posix() if path else page
        assert (ROOT / linked).exists(), f"{page} links to {target}"
        assert not anchor or anchor in anchors_of(linked), f"{page} links to {target}"


@pytest.mark.parametrize("page", PAGES)
def test_variables_exist(page: str) -> None:
    """Each environment variable of ours that a page names is read."""
    named = set(re.findall(r"\b(?:ZENTRA_)?POSTHOG_[A-Z_]+\b", (ROOT / page).read_text(encoding="utf-8")))

    assert named - set(config._variables()) - OTHER_VARIABLES == set()
