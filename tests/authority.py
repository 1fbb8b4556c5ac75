"""A certificate authority for tests: issues good certificates, and bad ones of every kind."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority for tests, with its root in a file that a client can be told to trust."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self._directory = directory
        self.bundle = str(directory / "authority.pem")
        self._authority.cert_pem.write_to_path(self.bundle)

    def context(self, *names: str, not_after: datetime | None = None) -> ssl.SSLContext:
        """A server's side of TLS, with a certificate for `names` by this authority."""
        not_before = datetime(2020, 1, 1, tzinfo=UTC) if not_after else None
        certificate = self._authority.issue_cert(*names, not_before=not_before, not_after=not_after)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

    def self_signed(self, address: str = "127.0.0.1") -> ssl.SSLContext:
        """A server's side of TLS with a certificate for `address` that only vouches for itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
        path = self._directory / "self-signed.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context
