"""What the findings of a probe mean: an exit status, what is wrong, and one line in plain words.

Nothing is asked here and nothing printed. The words about an error are its hint, wherever it has
one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from safesocket.errors import CertificateError, SafeSocketError, SocketTimeoutError

from .._attempts import most_telling
from .._wording import clean, limit_in_words
from .certificate import counted
from .findings import Connection, Findings, FirstByte, Handshake

WELL = 0
FLAWED = 1
NOT_FOUND = 3
NOT_CONNECTED = 4
NO_TLS = 5
INTERRUPTED = 130  # as the shell has it: 128 + SIGINT

#: What a hint goes on with that is about Python code.
_IN_CODE = ("; if the limit is too short for this", ": give it one with load_cert_chain()")

#: Ports on which TLS comes after a word in plain text, and the word; RFC 3207, 9051, 2595, 4217,
#: 4511, 6120, 5804, and the manuals of MySQL and PostgreSQL.
_TLS_LATER = {
    21: "AUTH TLS",
    25: "STARTTLS",
    110: "STLS",
    143: "STARTTLS",
    389: "StartTLS",
    587: "STARTTLS",
    3306: "a request of MySQL's own",
    4190: "STARTTLS",
    5222: "STARTTLS",
    5432: "a request of PostgreSQL's own",
}


class Verdict(NamedTuple):
    """What it all comes to: the exit status, what is wrong, and one line that says so."""

    status: int
    problems: list[str]
    text: str


def verdict_on(findings: Findings, warn_days: float) -> Verdict:
    """Return what *findings* mean, a certificate being old *warn_days* before its end."""
    if findings.interrupted:
        return Verdict(INTERRUPTED, [], "interrupted: what is known so far is above")
    look_up = findings.look_up
    if look_up is not None and look_up.error is not None:
        return _failed(
            NOT_FOUND, f"{clean(findings.host)} cannot be looked up", advice(look_up.error)
        )
    alive = [one for one in findings.connections if one.error is None]
    if not alive:
        return _failed(NOT_CONNECTED, *_unreachable(findings))
    handshakes = [one.tls for one in alive if one.tls is not None]
    if handshakes and not any(speaks_tls(one) for one in handshakes):
        reason = no_tls(handshakes[-1], findings.port)
        return _failed(NO_TLS, f"{findings.target} is reachable, but TLS fails", reason)
    problems = list(_problems(findings, warn_days))
    if problems:
        return Verdict(FLAWED, problems, f"reachable, but {'; '.join(problems)}")
    return Verdict(WELL, [], f"reachable: {'; '.join(_praise(findings))}")


def _failed(status: int, what: str, why: str) -> Verdict:
    return Verdict(status, [why], f"{what}: {why}")


def _unreachable(findings: Findings) -> tuple[str, str]:
    tried = findings.connections
    if not tried:
        return f"{findings.target} cannot be reached", "the look-up has found no address"
    error = tried[most_telling(tried)].error
    none = f": none of its {len(tried)} addresses answers" if len(tried) > 1 else ""
    return f"{findings.target} cannot be reached{none}", advice(error)


def speaks_tls(handshake: Handshake) -> bool:
    """Tell whether there was TLS, were it with a certificate that is refused."""
    return handshake.error is None or isinstance(handshake.error, CertificateError)


# What is wrong, and what is well.


def _problems(findings: Findings, warn_days: float) -> Iterator[str]:
    """Yield what is wrong, each thing once; with the addresses where it is not so everywhere."""
    told: dict[str, list[str]] = {}
    for one in findings.connections:
        for text in _problems_of(one, findings.port, warn_days):
            told.setdefault(text, []).append(one.address)
    for text, addresses in told.items():
        everywhere = len(addresses) == len(findings.connections)
        yield text if everywhere else f"{text} ({', '.join(addresses)})"


def _problems_of(one: Connection, port: int | None, warn_days: float) -> Iterator[str]:
    if one.error is not None and one.routed:
        yield f"an address does not answer: {cause(one.error)}"
    if one.tls is not None:
        yield from _problems_of_tls(one.tls, port, warn_days)
    if one.first_byte is not None and one.first_byte.end in ("closed", "error"):
        yield ends(one.first_byte)


def _problems_of_tls(tls: Handshake, port: int | None, warn_days: float) -> Iterator[str]:
    if not speaks_tls(tls):
        yield f"TLS fails: {no_tls(tls, port)}"
    for flaw in tls.flaws:
        yield f"the certificate is {flaw}" if _is_adjective(flaw) else flaw
    if not tls.flaws and tls.certificate and tls.certificate.days_left < warn_days:
        yield f"the certificate expires {_soon(tls.certificate.days_left)}"


def _is_adjective(flaw: str) -> bool:
    return flaw.startswith(("expired", "not valid", "self-signed", "signed by"))


def _soon(days: int) -> str:
    return f"in {counted(days, 'day')}" if days else "within a day"


def _praise(findings: Findings) -> Iterator[str]:
    alive = [one for one in findings.connections if one.error is None]
    if findings.look_up is None:
        yield "a server listens there"
    else:
        yield _number(findings, len(alive))
    certificates = [one.tls.certificate for one in alive if one.tls and one.tls.certificate]
    if certificates:
        days = min(one.days_left for one in certificates)
        yield f"TLS is fine, the certificate is good for {counted(days, 'more day')}"


def _number(findings: Findings, alive: int) -> str:
    answer = "answers" if alive == 1 else "answer"
    away = sorted({one.family for one in findings.connections if not one.routed})
    if not away:
        return f"{counted(alive, 'address')} {answer}"
    of_all = f"{alive} of {counted(len(findings.connections), 'address')}"
    return f"{of_all} {answer}, and to {' and '.join(away)} there is no way from here"


# In words.


def cause(error: SafeSocketError | None) -> str:
    """Return what happened, in the fewest words, and which limit ended it."""
    if error is None:
        return ""
    reason = getattr(error, "reason", None)
    if reason:
        return clean(str(reason).replace("_", " ").lower())
    if isinstance(error, SocketTimeoutError):
        return f"timed out ({_limit(error)})"
    return clean(error.strerror or (error.args[0] if error.args else type(error).__name__))


def _limit(error: SafeSocketError) -> str:
    """Return whose limit it was: of what the command set, the option."""
    option = {"timeouts": "--timeout", "deadline": "--deadline"}.get(error.timeout_source or "")
    return f"{option} {error.timeout:g}" if option else limit_in_words(error)


def advice(error: SafeSocketError | None) -> str:
    """Return what *error* means and what to look at next, but for what is about code."""
    text = getattr(error, "hint", None) or cause(error)
    for tail in _IN_CODE:
        text = text.partition(tail)[0]
    return text


def no_tls(handshake: Handshake, port: int | None) -> str:
    """Return why there is no TLS, as far as can be known."""
    if handshake.answered is None:
        return advice(handshake.error)
    if _is_http(handshake.answered):
        return "this port does not speak TLS but plain HTTP"
    if port in _TLS_LATER:
        return f"this port begins in plain text, and TLS comes after {_TLS_LATER[port]}"
    return "this port does not speak TLS, or only after a request in plain text (STARTTLS)"


def _is_http(answered: str) -> bool:
    """Tell whether *answered* is an HTTP status line without ``HTTP/``: RFC 9112, section 4."""
    return answered[:3] in ("1.0", "1.1") and answered[3:4] == " "


def ends(heard: FirstByte) -> str:
    """Return what the other side did instead of talking or waiting."""
    if heard.end == "closed":
        return "the other side closes the connection at once, without a word"
    return f"the connection ends at once: {cause(heard.error)}"
