"""A profile as a file: which kinds there are, and how one is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from .page import page
from .plain import as_json

if TYPE_CHECKING:
    from .session import Session

#: the end of a file's name -> what is in it
_KINDS: dict[str, Callable[[Session], str]] = {".json": as_json, ".html": page}


def checked(path: str | os.PathLike[str]) -> str:
    """Return *path* as text if it says what kind of file is wanted."""
    text = os.fspath(path)
    if os.path.splitext(text)[1].lower() not in _KINDS:
        raise ValueError(f"a profile is a file that ends in {' or '.join(_KINDS)}, not {text!r}")
    return text


def write(session: Session, path: str | os.PathLike[str]) -> None:
    """Write *session* to *path*, whose end says what kind of file it is to be."""
    text = checked(path)
    made = _KINDS[os.path.splitext(text)[1].lower()](session)
    with open(text, "w", encoding="utf-8") as file:
        file.write(made)
