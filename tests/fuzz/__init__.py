"""Differential fuzzing: random plans, played on the stdlib's sockets and on ours, must agree.

    python -m tests.fuzz --sequences 100000 [--seed 1] [--world drop-in|installed|tls|tls-installed]

A *plan* is data: what socket there is (its *scene*), and what is done with it and by its peer (its
*moves*). Playing it gives a *record*, which is data, too. The same plan is played by the stdlib
and by safesocket, each in a process of its own, and the two records must be equal.

The map; imports run downwards only:

    __main__     the campaign: many plans on several lanes; what failed is shrunk and printed
    search       plans drawn until one fails, and that one made small
    compare      one plan, both worlds: do they agree, and does the stdlib agree with itself
    plans        plans for hypothesis to draw
    failed       plans that have failed once
    worlds       processes that play: the stdlib, drop-in, installed
    play         a plan -> its record
    transfers moves files tlsmoves    what can be done, as tables
    model        which waits have a limit
    outcomes     what a program sees of a call, as data
    watch        calls that may wait for ever, cut
    scene        the socket that plays, made as the plan says, and all that is known of it
    far          the peer: a socket of C's, which no world changes, and TLS over it

What is modelled and not compared:

* A wait that has no end in the stdlib is cut there by a signal, and is the same as a timeout by a
  limit of safesocket's. ``model`` says which waits have a limit, by the table of docs/timeouts.md:
  one that is limited and goes on is a failure, and so is a limit where there should be none.
* A blocking send whose connection ends half-way returns in the stdlib how far it came. It raises in
  safesocket, with that count as ``bytes_sent``. The stdlib makes its next call there and then:
  the error and the count are compared.
* What a limit or a signal leaves behind differs where the call itself has had an effect by then
  (MSG_WAITALL, streams of makefile, TLS writes): the plan ends there.
* How many bytes a full stream still takes is the kernel's whim: "some" stands for any such count,
  and from then on counts are compared as none, some, all. Bytes are always checked.
* The texts of errors may be longer: they begin with the stdlib's.
"""
