"""How long leases last, in seconds. Together: a crash costs 11 s, a partition that delays renewals at most 30."""

LEASE_SECONDS = 10.0  # a lease ends so long after its last renewal, by the database's clock
# A host stops sending so long before: for an order that is on its way, and for clocks that run at different speeds.
MARGIN_SECONDS = 3.0
RENEW_SECONDS = 0.5  # between two renewals: a halt of another host is known within a second
CALL_SECONDS = 2.0  # after that a call of the lease table is given up; before a lease ends there is time for three
HANDOVER_SECONDS = 60.0  # a surplus account is given away after that, although an exit is under way
LEFT_SECONDS = 2.0  # a host that leaves an account free for so long, which is its own to take, is taken for unable
UNABLE_SECONDS = 30.0  # a host that couldn't take or watch an account gets none for so long, so that another one does
