"""The findings of a probe as lines for people; the last is the verdict.

Only how it looks: what it means is ``verdict``'s.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._hosts import is_number
from .._wording import duration
from .certificate import Certificate, counted, day, listed
from .findings import Connection, Findings, FirstByte, Handshake
from .table import GAP, WIDTH, Line, side_by_side, styled, wrapped
from .verdict import FLAWED, WELL, Verdict, cause, ends, speaks_tls

_WIDTHS = (11, WIDTH - 11 - len(GAP))
_MOST = 60  # characters of a greeting

_GOOD, _BAD = "green", "red"


def lines(findings: Findings, verdict: Verdict) -> Iterator[str]:
    """Yield the lines of the report."""
    label = ""
    for what, text, style in _entries(findings):
        shown = "" if what == label else what
        label = what
        yield from side_by_side([[Line(shown, "bold")], wrapped(text, _WIDTHS[1], style)], _WIDTHS)
    yield ""
    style = {WELL: _GOOD, FLAWED: "bold"}.get(verdict.status, _BAD)
    yield styled(Line(f"verdict: {verdict.text}", style))


def _entries(findings: Findings) -> Iterator[tuple[str, str, str]]:
    """Yield label, text and style of each entry."""
    if findings.look_up is not None and not is_number(findings.host):
        error = findings.look_up.error
        found = cause(error) or counted(len(findings.look_up.addresses), "address")
        took = duration(findings.look_up.seconds)
        yield "look up", f"{findings.host}: {found}, {took}", _BAD if error else ""
    for one in findings.connections:
        yield "connect", f"{one.address}: {_connected(one)}", _BAD if one.error else ""
    for one in findings.connections:
        if one.tls is not None:
            style = "" if one.tls.verified else _BAD
            yield "TLS", f"{one.address}: {_shaken(one.tls)}", style
    yield from _certificates(findings)
    for one in findings.connections:
        if one.first_byte is not None:
            bad = one.first_byte.end in ("closed", "error")
            text = f"{one.address}: {_heard(one.first_byte)}"
            yield "first byte", text, _BAD if bad else ""


def _connected(one: Connection) -> str:
    took = duration(one.seconds)
    if one.error is not None:
        return f"{cause(one.error)}, {took}"
    return f"connected, {took}" + (f", rtt {one.rtt * 1000:.3g} ms" if one.rtt else "")


def _shaken(tls: Handshake) -> str:
    took = duration(tls.seconds)
    if not speaks_tls(tls):
        answered = f', it says "…{tls.answered[:_MOST]}"' if tls.answered else ""
        return f"{cause(tls.error)}, {took}{answered}"
    alpn = f"ALPN {tls.alpn}" if tls.alpn else ""
    refused = "" if tls.verified else "certificate refused"
    return ", ".join(filter(None, (tls.version, tls.cipher, alpn, refused, took)))


def _certificates(findings: Findings) -> Iterator[tuple[str, str, str]]:
    """Yield the entries of each certificate that came, and of what is wrong with it, once."""
    told: dict[str, tuple[Handshake, list[str]]] = {}
    for one in findings.connections:
        if one.tls is not None and (one.tls.certificate or one.tls.flaws):
            key = one.tls.certificate.sha256 if one.tls.certificate else ""
            told.setdefault(key, (one.tls, []))[1].append(one.address)
    for tls, addresses in told.values():
        if len(told) > 1:
            yield "certificate", f"of {', '.join(addresses)}:", ""
        if tls.certificate is not None:
            said = _described(tls.certificate, tls.verified)
            yield from (("certificate", text, "") for text in said)
        yield from (("certificate", text, _BAD) for text in tls.flaws)


def _described(certificate: Certificate, verified: bool) -> Iterator[str]:
    yield f"for {listed(certificate.names) or certificate.subject}"
    yield f"issued by {certificate.issuer}"
    days = f", {counted(certificate.days_left, 'more day')}" if verified else ""
    yield f"valid from {day(certificate.not_before)} to {day(certificate.not_after)}{days}"


def _heard(heard: FirstByte) -> str:
    took = duration(heard.seconds)
    if heard.end == "data":
        cut = "…" if len(heard.text) > _MOST else ""
        return f'"{heard.text[:_MOST]}{cut}", {took}'
    if heard.end == "silence":
        return f"silence for {took}: normal where the client speaks first, as in HTTP"
    return f"{ends(heard)}, {took}"
