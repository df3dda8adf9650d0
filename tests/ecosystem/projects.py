"""The table of projects: which version, what its tests need, how they are run. Only data.

A test is deselected, or ignored, only for what it needs or how long it takes: never for how it
ends.
"""

from __future__ import annotations

from typing import NamedTuple


class Project(NamedTuple):
    """One project on PyPI whose source distribution holds its tests."""

    name: str
    version: str
    requires: tuple[str, ...]  #: what its tests need, besides pytest and what it needs itself
    run: tuple[str, ...]  #: arguments of pytest
    servers: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    stand_ins: tuple[tuple[str, str], ...] = ()  #: a module that cannot be had: our file for it
    set_apart: tuple[tuple[str, str], ...] = ()  #: a test that must differ, and why
    left_out: str = ""  #: what *run* leaves out, and why

    @property
    def pinned(self) -> str:
        return f"{self.name}=={self.version}"


TABLE = (
    Project(
        name="redis",
        version="8.1.0",
        requires=(
            "pytest-asyncio",
            "numpy",
            "PyJWT",
            "requests",
            "cryptography",
            "pyOpenSSL",
            "pybreaker",
            "redis-entraid",
            "opentelemetry-sdk",
            "pytest-forked",
        ),
        run=(
            *("-m", "not onlycluster and not redismod and not ssl and not multidb_integration"),
            *("--ignore=tests/test_scenario", "--ignore=tests/test_asyncio/test_scenario"),
        ),
        servers=("redis",),
        left_out="clusters, modules, TLS and fault injection, which need containers",
    ),
    Project(
        name="PyMySQL",
        version="0.10.1",
        requires=("cryptography",),
        run=("pymysql/tests",),
        servers=("mariadb",),
        stand_ins=(("imp", "_imp"),),
        left_out="(later source distributions hold no tests)",
    ),
    Project(
        name="PySocks",
        version="1.7.1",
        requires=("psutil",),
        run=("test",),
        stand_ins=(("test_server", "_test_server"),),
        set_apart=(
            (
                "test/test_pysocks.py::PySocksTestCase::test_socks5_proxy_connect_timeout",
                'the text of an error is to be `timed out`: `configure(message="off")` is for that',
            ),
        ),
    ),
    Project(
        name="urllib3",
        version="2.8.0",
        requires=(
            *("anyio[trio]", "h2", "httpx", "hypercorn", "pysocks", "pytest-socket", "quart"),
            *("quart-trio", "trio", "trustme", "idna", "cryptography", "pyOpenSSL", "brotli"),
        ),
        run=("test",),
    ),
    Project(
        name="requests",
        version="2.34.2",
        requires=(
            *("PySocks", "pytest-httpbin==2.1.0", "httpbin~=0.10.0", "pytest-mock", "trustme"),
            "pytest<10",
        ),
        run=("tests",),
    ),
    Project(
        name="paramiko",
        version="5.1.0",
        requires=("pytest-relaxed", "icecream", "invoke"),
        run=("tests",),
    ),
    Project(
        name="websocket-client",
        version="1.9.2",
        requires=("PySocks", "python-socks", "websockets", "wsaccel"),
        run=("websocket/tests",),
        servers=("websocket-echo",),
        environ=(("LOCAL_WS_SERVER_PORT", "8765"),),
    ),
    Project(
        name="pymemcache",
        version="4.0.0",
        requires=("Faker", "pytest-cov", "gevent", "python-memcached", "zstd"),
        run=("-m", "unit or integration", "pymemcache/test"),
        servers=("memcached",),
    ),
    Project(name="boltons", version="26.2.0", requires=(), run=("tests",)),
    Project(
        name="httplib2",
        version="0.32.1",
        requires=("cryptography", "pysocks", "pytest-forked", "pytest-randomly"),
        run=("-p", "no:randomly", "tests"),
    ),
    Project(
        name="pg8000",
        version="1.31.6",
        requires=("pytz", "pytest-mock", "pytest-benchmark"),
        run=("test",),
        servers=("postgresql",),
    ),
    Project(
        name="pyOpenSSL",
        version="26.4.0",
        requires=("pretend", "pytest-rerunfailures"),
        run=("tests",),
    ),
    Project(
        name="paho-mqtt",
        version="2.2.0",
        requires=("websockets",),
        run=("tests", "--ignore=tests/lib"),
        left_out="tests/lib, whose clients are processes of their own, which nobody installs into",
    ),
)

PROJECTS = {project.name: project for project in TABLE}
