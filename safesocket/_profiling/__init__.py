"""What a profile makes of waits and failures: sums, a timeline, a table, JSON, a page to look at.

Imported by whoever profiles, never by ``import safesocket``.
"""
