"""Encryption between client, scheduler and workers, and who may connect."""

from __future__ import annotations

from typing import Any

from glassdask.cluster.profile import Profile
from glassdask.errors import MissingPackageError


def security(profile: Profile | None) -> Any:
    """The `distributed.Security` that a profile asks for; None without TLS.

    All parts show the same certificate, and accept those that the same authority has signed.

    Raises
    ------
    MissingPackageError
        Temporary certificates need the package cryptography.
    """
    if profile is None or profile.tls is None:
        return None
    from distributed import Security

    if profile.tls == "temporary":
        try:
            return Security.temporary()
        except ImportError:
            raise MissingPackageError(
                f"{profile.path}: temporary certificates need cryptography: pip install 'glassdask[cluster]'"
            ) from None
    tls = profile.tls
    pairs: dict[str, str] = {}
    for role in ("client", "scheduler", "worker"):
        pairs |= {f"tls_{role}_cert": tls.certificate, f"tls_{role}_key": tls.key}
    return Security(require_encryption=True, tls_ca_file=tls.ca, **pairs)
