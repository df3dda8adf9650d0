"""The chaos soak: very many connections of all kinds, to peers that misbehave, in all worlds.

    python -m tests.soak [--connections 20000] [--threads 16] [--seed N] [--world NAME|all]

Each connection plays one scenario, drawn by the seed: ``honest`` ones, in which every byte is
checked, and ``rude`` ones, of which the outcome is. The far ends are ``peers``, in a process of
their own; each world is a process of its own, too (``worker``). Held against what is promised:

* no wait lasts longer than its limit and 0.25 s, beyond what a plain sleep is late meanwhile;
* no error comes out that is not documented, no byte is wrong, no outcome another one;
* descriptors and threads are as many after each round as before;
* memory does not grow over the second half: see ``gauges``;
* ``ResourceWarning`` comes only from scenarios where the plain stdlib, which plays the same
  ones with timeouts of the sockets' own, has it, too, but for a few: some are a matter of luck.

The exit status is 0 if all this held, else 1.
"""
