"""docs/error-reference.md says of each class what its real failures say."""

from __future__ import annotations

import re
import sys

import pytest

from tests.error_examples import EXAMPLES, PAGE, as_on_the_page, page, raised

BLOCK = re.compile(r"(?<=```text\n).*?(?=\n```)", re.DOTALL)
NAMES = [(name, words) for name, _ in raised() for words in EXAMPLES[name]]


def test_page_has_every_class_and_situation():
    """Classes, their first lines and the situations are those of the code, in its order."""
    assert BLOCK.sub("", PAGE.read_text()) == page(lambda *_: "")


@pytest.mark.skipif(sys.platform != "linux", reason="the page has the texts of Linux")
@pytest.mark.parametrize(("name", "words"), NAMES, ids=map(": ".join, NAMES))
def test_example_is_what_the_failure_says(name, words):
    """A failure that really happens has the class, the text and the hint of the page."""
    kind, shown = as_on_the_page(EXAMPLES[name][words])
    assert kind == name
    assert shown == BLOCK.findall(PAGE.read_text())[NAMES.index((name, words))]
