"""The leases of accounts among hosts, in the PostgreSQL database of the journal that the hosts share."""
