"""Encryption between client, scheduler and workers, and who may connect."""

from __future__ import annotations

from typing import Any

from glassdask.cluster.profile import Certificates, Profile
from glassdask.errors import MissingPackageError


def security(profile: Profile) -> Any:
    """The `distributed.Security` that a profile asks for, on this machine also unasked; None without TLS.

    All parts show the same certificate, and accept those that the same authority has signed.

    Raises
    ------
    MissingPackageError
        Temporary certificates need the package cryptography.
    """
    if profile.tls is None and profile.kind != "local":
        return None
    from distributed import Security

    if not isinstance(profile.tls, Certificates):
        try:
            return Security.temporary()
        except ImportError:
            raise MissingPackageError(
                f"{profile.path}: temporary certificates need cryptography: pip install cryptography"
            ) from None
    tls = profile.tls
    pairs: dict[str, str] = {}
    for role in ("client", "scheduler", "worker"):
        pairs |= {f"tls_{role}_cert": tls.certificate, f"tls_{role}_key": tls.key}
    return Security(require_encryption=True, tls_ca_file=tls.ca, **pairs)
