"""Certificates for TLS in tests: an authority, and certificates of servers that it signed."""

import datetime as dt
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificates(NamedTuple):
    """Files in PEM format: the authority's certificate, and a server's certificate with its key."""

    authority: Path
    server: Path


def create_certificates(folder: Path, *addresses: str) -> Certificates:
    """Create an authority and a certificate for a server at these IP addresses."""
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Test authority")
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    authority = (
        _builder(authority_name, authority_name, authority_key)
        .add_extension(constraints, critical=True)
        .add_extension(_key_usage(), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address)) for address in addresses])
    server = (
        _builder(_name("Test server"), authority_name, server_key)
        .add_extension(names, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    result = Certificates(folder / "authority.pem", folder / "server.pem")
    result.authority.write_bytes(_pem(authority))
    result.server.write_bytes(_pem(server) + _key_pem(server_key))
    return result


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
