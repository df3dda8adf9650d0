"""A profile as a page to look at: one file, complete in itself, that asks nobody for anything.

What it looks like is in ``page.html``, how its timeline is drawn in ``page.js``; here they are
filled. All text is escaped: host names come from strangers.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING, Any

from .plain import to_dict
from .table import count, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .session import Session

_PHASES = ("resolve", "connect", "handshake", "write", "read", "accept", "bind", "other")
_NAMES = {"resolve": "look-up", "handshake": "TLS handshake"}
_FIX = (
    "These lines waited with no timeout of their own, and would wait for as long as the other side"
    " likes; a default limit ended it. Give each one that fits, such as"
    " <code>create_connection(…, timeout=5)</code>, <code>sock.settimeout(5)</code>, or"
    " <code>requests.get(…, timeout=5)</code>."
)


def page(session: Session) -> str:
    """Return what *session* has found as HTML."""
    found = to_dict(session)
    script = _file("page.js")
    parts = {
        "policy": _policy(script),
        "title": escape(f"Where the time went: {found['program'] or 'profile'}"),
        "about": _about(found),
        "figures": "".join(_figures(found)),
        "saved": _to_fix(found["saved"]),
        "legend": "".join(_legend(found)),
        "left-out": _left_out(found["timeline"]["waits_left_out"]),
        "table": _table(found),
        "footer": f"safesocket, Python {escape(found['python'])}",
        "data": _for_script(_drawn(found)),
        "script": script,
    }
    return _filled(_file("page.html"), parts)


@cache
def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Return *template* with its *parts* in place, in one pass: none is looked into."""
    head, *rest = template.split("<!--")
    filled = [head]
    for piece in rest:
        name, _, following = piece.partition("-->")
        filled += [parts[name], following]
    return "".join(filled)


def _policy(script: str) -> str:
    """Return the policy of the page: this script alone runs, and nothing is fetched."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _for_script(value: Any) -> str:
    """Return *value* as JSON that no HTML can be found in."""
    text = json.dumps(value, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


# --- Words and numbers --------------------------------------------------------------------------


def _about(found: Mapping[str, Any]) -> str:
    program = f"<code>{escape(found['program'])}</code>, " if found["program"] else ""
    began = f"{found['began'][:19].replace('T', ' ')} UTC"
    return f"{program}process {found['process']}, from {began} for {seconds(found['seconds'])} s"


def _figures(found: Mapping[str, Any]) -> Iterator[str]:
    rows = found["rows"]
    failures = sum(sum(row["errors"].values()) for row in rows)
    timeouts = sum(row["timeouts"] for row in rows)
    yield _figure("waited", f"{found['waited']:.2f} <small>s</small>")
    yield _figure("of that for look-ups", f"{found['looked_up']:.2f} <small>s</small>")
    yield _figure("waits", f"{sum(row['waits'] for row in rows):,}")
    yield _figure("peers", f"{len({row['peer'] for row in rows}):,}")
    yield _figure("errors", f"{failures:,}", bad=failures > 0)
    yield _figure("of them timeouts", f"{timeouts:,}", bad=timeouts > 0)


def _figure(name: str, value: str, *, bad: bool = False) -> str:
    kind = ' class="bad"' if bad else ""
    return f"<div{kind}><dt>{name}</dt><dd>{value}</dd></div>"


def _legend(found: Mapping[str, Any]) -> Iterator[str]:
    seen = {wait["phase"] for wait in found["timeline"]["waits"]}
    for phase in _PHASES:
        if phase in seen:
            yield f'<span><i style="--c:var(--{_colour(phase)})"></i>{_called(phase)}</span>'
    if found["timeline"]["failures"]:
        yield '<span><i class="mark" style="--c:var(--failed)"></i>failed</span>'


def _called(phase: str) -> str:
    return escape(_NAMES.get(phase, phase))


def _colour(phase: str) -> str:
    return phase if phase in _PHASES and phase != "bind" else "other"


def _left_out(number: int) -> str:
    return f" {count(number, 'short wait')} left out here, not in the sums." if number else ""


# --- The list to fix, and the table -------------------------------------------------------------


def _to_fix(saved: list[dict[str, Any]]) -> str:
    if not saved:
        return ""
    lines = "".join(
        f'<tr><td class="number">{one["times"]:,}</td>'
        f'<td class="where">{escape(one["filename"])}:{one["lineno"]}</td>'
        f"<td>{escape(one['operation'])}, {escape(one['peer'])}</td>"
        f"<td>{escape(one['limit'])} {one['seconds']:g} s ({escape(one['source'])})</td></tr>"
        for one in saved
    )
    return (
        f'<section class="fix" aria-labelledby="fix-title"><h2 id="fix-title">To fix: '
        f"{count(len(saved), 'line')} saved by a default</h2><p>{_FIX}</p>"
        f'<div class="scroll"><table><thead><tr><th class="number">times</th><th>where</th>'
        f"<th>what</th><th>ended by</th></tr></thead><tbody>{lines}</tbody></table></div></section>"
    )


def _table(found: Mapping[str, Any]) -> str:
    if not found["rows"]:
        return "<section><p>Nothing was waited for.</p></section>"
    most = max(row["waited"] for row in found["rows"]) or 1.0
    lines = [
        _line(row, most, first=place == 0)
        for _, group in groupby(found["rows"], lambda row: row["peer"])
        for place, row in enumerate(group)
    ]
    headings = ("waits", "waited (s)", "longest (s)")
    numbers = "".join(f'<th class="number">{heading}</th>' for heading in headings)
    return (
        '<section aria-labelledby="table-title"><h2 id="table-title">Peers and operations</h2>'
        '<div class="scroll"><table class="sums"><thead><tr><th>peer</th><th>operation</th>'
        f'<th><span hidden>share</span></th>{numbers}<th class="number">timeouts</th>'
        f"<th>errors</th></tr></thead><tbody>{''.join(lines)}</tbody></table></div></section>"
    )


def _line(row: Mapping[str, Any], most: float, *, first: bool) -> str:
    share = f"{100 * row['waited'] / most:.2f}%"
    colour = _colour(row["phase"])
    bar = f'<rect class="{colour}" width="{share}" height="9" rx="2"/>' if row["waited"] else ""
    times = (f"{row['waits']:,}", *(escape(seconds(row[name])) for name in ("waited", "longest")))
    cells = "".join(f'<td class="number">{cell if row["waits"] else ""}</td>' for cell in times)
    errors = "<br>".join(f"{number:,} {escape(kind)}" for kind, number in row["errors"].items())
    kind, peer = ("", escape(row["peer"])) if first else (' class="same"', "")
    return (
        f'<tr{kind}><td class="peer">{peer}</td>'
        f'<td class="phase"><i style="--c:var(--{colour})"></i>{_called(row["phase"])}</td>'
        f'<td class="share"><svg aria-hidden="true">{bar}</svg></td>{cells}'
        f'<td class="number">{row["timeouts"] or ""}</td><td class="bad">{errors}</td></tr>'
    )


# --- The timeline -------------------------------------------------------------------------------


def _drawn(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the script draws: names once, and of each wait and failure where they stand."""
    timeline = found["timeline"]
    rows = found["rows"]
    peers = dict.fromkeys(row["peer"] for row in rows)  # whose rows stand together
    place = {peer: index for index, peer in enumerate(peers)}
    of_phase = {phase: index for index, phase in enumerate(_PHASES)}
    other = of_phase["other"]
    return {
        "seconds": found["seconds"],
        "phases": [_colour(phase) for phase in _PHASES],
        "names": [_NAMES.get(phase, phase) for phase in _PHASES],
        "peers": [_sums(peer, list(of)) for peer, of in groupby(rows, lambda row: row["peer"])],
        "waits": [
            [place[w["peer"]], of_phase.get(w["phase"], other), w["start"], w["seconds"]]
            for w in timeline["waits"]
            if w["peer"] in place
        ],
        "failures": [
            [place[f["peer"]], of_phase.get(f["phase"], other), f["at"], f["error"], f["text"]]
            for f in timeline["failures"]
            if f["peer"] in place
        ],
    }


def _sums(peer: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": peer,
        "waited": sum(row["waited"] for row in rows),
        "waits": sum(row["waits"] for row in rows),
        "failures": sum(sum(row["errors"].values()) for row in rows),
    }
