"""Measurements that `make bench` prints: ratios from one run, side by side."""
