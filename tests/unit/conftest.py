"""Profile of Hypothesis without a deadline, which would fail tests while other processes use the CPU."""

from hypothesis import settings

settings.register_profile("delivery", deadline=None)
settings.load_profile("delivery")
