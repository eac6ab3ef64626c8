"""A certificate for the simulated venues, made on the spot by an authority that lives as long."""

import ssl
from pathlib import Path

from spreadscan.disk import whole
from spreadscan.errors import ConfigError


def make_context(ca_file: Path, host: str) -> ssl.SSLContext:
    """Return a server's context with a certificate for host; its authority goes to ca_file.

    A client trusts it that was started with SSL_CERT_FILE=ca_file. No key stays on disk.
    ConfigError: the file cannot be written.
    """
    import trustme  # of the extra `tls`

    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)
    try:
        whole.replace(ca_file, authority.cert_pem.bytes())
    except OSError as error:
        raise ConfigError(f"{ca_file}: {error.strerror}, expected a place to write to") from None
    return context
