"""Accounts shared by several hosts: leases, the rule by which they are shared, and who may send for an account now."""
