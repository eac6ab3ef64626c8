"""Secrets are known by their names, and forgotten before anything else happens."""

import os
import subprocess
import sys

import pytest

from spreadscan.environment import is_secret


@pytest.mark.parametrize("name", [
    "SPREADSCAN_SECRET_RPC_URL", "BINANCE_API_KEY", "BINANCE_APIKEY", "okx_secret",
    "OKX_PASSPHRASE", "JUPITER_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    "SOLANA_KEYPAIR", "DB_PASS", "PRIVATE_KEYS", "WALLET_MNEMONIC", "PASSWORD", "POLY_API_KEY_2",
    "TG_BOT_TOKEN_OLD",
])  # fmt: skip
def test_what_is_a_secret(name):
    assert is_secret(name)


@pytest.mark.parametrize("name", [
    "PATH", "PWD", "HOME", "LANG", "HTTPS_PROXY", "SSL_CERT_FILE", "CREDENTIALS_DIRECTORY",
    "NOTIFY_SOCKET", "PYTHONHASHSEED", "XKB_KEYBOARD", "TOKENIZERS_PARALLELISM", "COMPASS_DIR",
    "SPREAD_ENGINE_THRESHOLD_BPS", "SPREAD_VENUES_KEY", "SSH_AUTH_SOCK", "KEYBOARD",
])  # fmt: skip
def test_what_is_none(name):
    assert not is_secret(name)


PROGRAM = """
import os, sys
from spreadscan.environment import forget_secrets
forget_secrets()
block = open("/proc/self/environ", "rb").read()
print(sys.argv[1:], sys.flags.optimize, sys.stdin.read(), os.getpid(), b"canary" in block,
      "canary" in str(os.environ), os.environ["OTHER"])
"""


@pytest.mark.parametrize("secret", [{}, {"MY_API_KEY": "canary"}])
def test_a_process_goes_on_as_it_was_but_without_them(secret):
    process = subprocess.Popen(
        [sys.executable, "-O", "-c", PROGRAM, "run", "a b"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **secret, "OTHER": "kept"},
    )  # fmt: skip
    told, _ = process.communicate("read", timeout=30)
    assert f"['run', 'a b'] 1 read {process.pid} False False kept\n" == told
