"""How a socket came to be: the names of the roles, which decide about limits and about words."""

FRESH = "fresh"  # made by this program, neither connected nor bound
CONNECTED = "connected"  # by this program, to somebody
ACCEPTED = "accepted"  # from a client
ADOPTED = "adopted"  # a descriptor from elsewhere: fromfd(), socket(fileno=)
PAIRED = "paired"  # one end of socketpair(): the program talking to itself
BOUND = "bound"  # to an address that the program chose
