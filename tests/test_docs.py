"""Every example of README and docs runs, and does what the text beside it says."""

import contextlib
import io
import os
import re
import select
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

import pytest

from safesocket import _wording, errors

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^\s*print\(.*?\)\s+# (.*)$", re.MULTILINE)
IMPORTED = re.compile(r"^import (\w+)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
#: What examples import besides the stdlib and safesocket.
NEIGHBOURS = {"redis", "requests", "stamina", "tenacity"}
VARYING = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=after )[\d.]+")


class Example(NamedTuple):
    """A block of Python, and the block of text behind it if that shows what it raises."""

    place: str
    code: str
    shown: str


def examples():
    """Yield the examples of all pages."""
    for page in PAGES:
        blocks = list(FENCE.finditer(page.read_text()))
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            if block[1] == "python":
                line = page.read_text().count("\n", 0, block.start()) + 1
                text = following[2] if following and following[1] == "text" else ""
                shown = text if text.startswith("safesocket.errors.") else ""
                yield Example(f"{page.name}:{line}", block[2], shown)


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.place)
def test_example_does_what_it_says(example):
    """An example runs, prints what its comments say, and raises what is shown behind it."""
    for module in NEIGHBOURS & set(IMPORTED.findall(example.code)):
        pytest.importorskip(module, reason="runs with the extra neighbours")
    output = io.StringIO()
    raised = ""
    with contextlib.redirect_stdout(output):
        try:
            exec(compile(example.code, example.place, "exec"), {"__name__": "example"})
        except errors.SafeSocketError as error:
            raised = "".join(traceback.format_exception_only(error))
    assert output.getvalue().splitlines() == PRINTED.findall(example.code)
    shown = VARYING.sub("0", example.shown).rstrip().removesuffix("…")
    assert VARYING.sub("0", raised).rstrip().startswith(shown.rstrip())
    assert bool(raised) == bool(shown)


def test_readme_shows_code_before_line_15():
    """Who opens the README sees code at once, and the README stays short."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert lines.index("```python") < 15
    assert len(lines) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Each link to another page or heading of ours leads to one that is there."""
    for place, anchor in LINK.findall(page.read_text()):
        target = page.parent / place if place else page
        assert target.exists(), place
        headings = [anchor_of(heading) for heading in HEADING.findall(target.read_text())]
        assert not anchor or anchor in headings, f"{place}#{anchor}"


def anchor_of(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_errors_page_has_every_class():
    """docs/errors.md explains each class."""
    page = (ROOT / "docs" / "errors.md").read_text()
    missing = [name for name in errors.__all__ if f"`{name}`" not in page]
    assert missing == []


def test_errors_page_is_the_table_of_the_command():
    """The table of docs/errors.md is what ``python -m safesocket errors --markdown`` prints."""
    command = [sys.executable, "-m", "safesocket", "errors", "--markdown"]
    table = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert table in (ROOT / "docs" / "errors.md").read_text()


def test_texts_of_the_on_call_page_are_real():
    """What docs/on-call.md tells to look for stands in the text of a failure that happened."""
    reference = (ROOT / "docs" / "error-reference.md").read_text()
    page = (ROOT / "docs" / "on-call.md").read_text()
    table = page[page.index("| it says |") : page.index("Each class, ")]
    first_cells = [row.split("|")[1] for row in table.splitlines()[2:] if row]
    texts = [text for cell in first_cells for text in re.findall("`(.*?)`", cell)]
    assert len(texts) > 12
    for text in texts:
        assert re.search(re.escape(text).replace("…", ".+"), reference), text


def test_on_call_page_has_every_limit():
    """docs/on-call.md tells, for each way in which a limit is worded, where to change it."""
    page = (ROOT / "docs" / "on-call.md").read_text()
    table = page[page.index("| the line ends with |") :]
    endings = [
        re.escape(text).replace("…", ".+") for text in re.findall(r"`\((.*?)\)`[,| ]", table)
    ]
    for source, words in _wording._SOURCES.items():
        text = words.format(field="read", seconds=300 if source == "default" else 60)
        assert [ending for ending in endings if re.fullmatch(ending, text)], text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGUSR1")
def test_signal_shows_what_the_main_thread_waits_for():
    """The handler of docs/on-call.md shows the wait that it interrupted."""
    handler = FENCE.search((ROOT / "docs" / "on-call.md").read_text().split("## It hangs")[1])[2]
    program = f"""{handler}
sock, peer = safesocket.socketpair()
print("about to wait", flush=True)
sock.recv(1)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=-1, text=True) as process:
        process.stdout.readline()
        while not select.select([process.stderr], [], [], 0.1)[0]:  # it may not wait yet
            os.kill(process.pid, signal.SIGUSR1)
        shown = process.stderr.readline()
        process.kill()
    assert shown.startswith("recv for ")
