"""Other people's test suites, run plain and with install() in force, and compared.

    python -m tests.ecosystem                       # every project
    python -m tests.ecosystem redis urllib3         # these only
    python -m tests.ecosystem --python 3.13         # with another interpreter
    python -m tests.ecosystem --against plain PyMySQL   # is the suite fair to itself?

Each project's source comes from PyPI, its suite runs in a venv of its own, against real servers
where it needs them, twice: plain, and with ``safesocket.install()``, the default limits in
force, called before anything of the project is imported. Every test must end the same way; one
that does not is run again, alone, up to twice, as in ``tests.conformance``, whose judge this is.

Each run has a network of its own (``unshare --net``): loopback, a black hole, and a name server
that knows no name. So servers have their usual ports, and tests that need the internet fail at
once, in both runs.
Needs Linux, unshare(1), ip(8), PyPI, and for the servers:

    apt-get install --no-install-recommends redis-server mariadb-server memcached postgresql

    __main__.py    the command line, the report
    projects.py    the table of projects: which version, what it needs, how it is run
    servers.py     the table of servers: how one is started, and when it is ready
    _venvs.py      a project's venv and source
    _inside.py     one run: its network, its servers, its suite
    _network.py    the network of a run
    _test_server.py, _imp.py    stand-ins for modules that cannot be had any more
    _plugin.py     what runs inside pytest: install(), and a record of what happened
"""
