"""Where the work runs: this machine's cores, a scheduler's address, or a batch system described in a profile."""

from glassdask.cluster.checking import check
from glassdask.cluster.connection import connect
from glassdask.cluster.profile import Profile, find_profile, read_profile

__all__ = ["Profile", "check", "connect", "find_profile", "read_profile"]


def __dir__() -> list[str]:
    """What is public, and no module that it stands in."""
    return __all__
