"""A certificate authority for the time of a test."""

from __future__ import annotations

import datetime
from pathlib import Path


def write_certificates(folder: Path) -> dict[str, str]:
    """Write ca.pem, certificate.pem and key.pem, the certificate signed by the authority; gives their paths."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def certificate(subject: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, is_ca: bool):
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(name("test authority"), name(subject), key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.pem" for name in ("ca", "certificate", "key")}
    paths["ca"].write_bytes(certificate("test authority", authority, authority, is_ca=True))
    paths["certificate"].write_bytes(certificate("glassdask", own, authority, is_ca=False))
    paths["key"].touch(mode=0o600)
    paths["key"].write_bytes(own.private_bytes(encoding, form, serialization.NoEncryption()))
    return {name: str(path) for name, path in paths.items()}
