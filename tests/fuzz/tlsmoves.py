"""Moves with a TLS socket and its peer."""

from __future__ import annotations

MOVES = {}
