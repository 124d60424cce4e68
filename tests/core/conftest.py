"""Property tests draw the same examples on every run; HYPOTHESIS_PROFILE=search looks longer and elsewhere."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "core", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "core"))
