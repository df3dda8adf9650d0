"""``probe``: connect to a peer step by step, and say what is found and what is wrong with it.

The command: its words, its output and how it ends. What is asked is in ``steps``, what that means
in ``verdict``, and how it looks in ``report``.
"""

from __future__ import annotations

import argparse
import json
import math
import ssl
from collections.abc import Sequence
from typing import Any

from safesocket import ssl as safe_ssl

from .._limits import checked
from . import report, steps
from .findings import Findings
from .target import TLS_PORTS, Target, host_name, read
from .verdict import Verdict, verdict_on

_safe_ssl: Any = safe_ssl  # whose names are there at run time only

_EPILOG = f"""
exit status:
  0    all is well
  1    reachable, but something is wrong: a certificate that is refused or
       expires soon, an address that does not answer, a connection that is
       closed at once
  2    wrong usage
  3    the name was not found, or the look-up failed
  4    no address could be connected to
  5    connected, but TLS failed
  130  interrupted; what is known so far is shown

TLS is spoken by itself on these ports, and as a URL says:
  {", ".join(map(str, TLS_PORTS))}
SECONDS may be 'forever'. Without --timeout the limits in force hold, such as
those of SAFESOCKET_CONNECT and SAFESOCKET_HANDSHAKE in the environment.
Nothing is sent but what connecting and TLS send. See docs/probe.md.
"""


def main(words: Sequence[str]) -> int:
    """Probe what *words*, the command line behind ``probe``, names; return the exit status."""
    parser = _parser()
    options = parser.parse_args(words)
    try:
        target = read(options.target)
        wishes = _wishes(options, target)
    except (OSError, ValueError) as exc:
        parser.error(str(exc))
    name = wishes.server_name if wishes.context else None
    findings = Findings(str(target), target.host, target.port, name)
    try:
        steps.take(findings, target, wishes)
    except KeyboardInterrupt:
        findings.interrupted = True
    verdict = verdict_on(findings, options.warn_days)
    print(_document(findings, verdict) if options.json else _text(findings, verdict))
    return verdict.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m safesocket probe",
        description="Look up, connect to each address, speak TLS, listen; say what is wrong.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("target", metavar="HOST:PORT", help="or [::1]:443, a URL, /run/x.sock, unix:@abstract")
    add("--tls", action=argparse.BooleanOptionalAction, help="speak TLS, or do not")
    add("--server-name", metavar="NAME", help="the name the certificate is to be for")
    add("--ca", metavar="FILE", help="trust the authorities in FILE instead of the system's")
    add("--alpn", metavar="NAMES", help="protocols to offer, such as h2,http/1.1")
    add(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help="limit of each look-up, connect, handshake",
    )
    add(
        "--deadline",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="limit of all together (30)",
    )
    add("--first-byte", type=_seconds, default=1.0, metavar="SECONDS", help=_FIRST_BYTE)
    add("--warn-days", type=float, default=14, metavar="DAYS", help=_WARN_DAYS)
    add("--json", action="store_true", help="print one JSON document")
    return parser


_FIRST_BYTE = "how long to wait for a greeting (1)"
_WARN_DAYS = "a certificate is about to expire so many days before (14)"


def _seconds(text: str) -> float:
    try:
        seconds = math.inf if text == "forever" else float(text)
        checked("it", seconds)
    except ValueError:
        wanted = "0 or more seconds, such as 2.5, or 'forever'"
        raise argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}") from None
    return seconds


def _wishes(options: argparse.Namespace, target: Target) -> steps.Wishes:
    """Return what *options* ask for.

    Raises:
        ValueError: they contradict each other, or the target.
        OSError: the file of authorities is not there, or is none.
    """
    speaks_tls = target.speaks_tls if options.tls is None else options.tls
    name = host_name(options.server_name or target.host) if speaks_tls else ""
    if speaks_tls and target.is_path and not options.server_name:
        raise ValueError("TLS to a path needs --server-name: the name the certificate is to be for")
    return steps.Wishes(
        options.deadline,
        options.timeout,
        options.first_byte,
        name,
        _context(options) if speaks_tls else None,
    )


def _context(options: argparse.Namespace) -> ssl.SSLContext:
    try:
        context = _safe_ssl.create_default_context(cafile=options.ca)
    except OSError as exc:
        raise ValueError(f"--ca {options.ca}: {exc.strerror or exc}") from None
    if options.alpn is not None:
        _offer(context, options.alpn.split(","))
    return context  # type: ignore[no-any-return]


def _offer(context: ssl.SSLContext, protocols: list[str]) -> None:
    if not all(0 < len(name.encode()) < 256 for name in protocols):
        raise ValueError("--alpn takes names of 1 to 255 bytes, with commas between them")
    context.set_alpn_protocols(protocols)


def _text(findings: Findings, verdict: Verdict) -> str:
    return "\n".join(report.lines(findings, verdict))


def _document(findings: Findings, verdict: Verdict) -> str:
    known = {
        **findings.to_dict(),
        "problems": verdict.problems,
        "verdict": verdict.text,
        "status": verdict.status,
    }
    return json.dumps(known, indent=2)
