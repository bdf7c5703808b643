"""SoftHSM, a card in software: Debian's package unpacked into the cache, its tokens where the test wants them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from client.ike.authentication import PrivateKey
from tests.netns.peers.releases import PeerUnavailable, release
from tests.secrecy.scanner import kept_secret

PIN = kept_secret("824637")
_FIRST_PIN = "1111"  # the program takes PINs as arguments alone: the real one comes after it


@dataclass(frozen=True)
class SoftHsm:
    """The module, the program that fills tokens, and where they lie."""

    module: Path
    program: Path
    directory: Path

    @property
    def configuration(self) -> Path:
        """What $SOFTHSM2_CONF names."""
        return self.directory / "softhsm2.conf"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to see the tokens."""
        return {"SOFTHSM2_CONF": str(self.configuration)}

    def reference(self, token: str, more: str = "") -> str:
        """How a profile names the key on a token."""
        return f"pkcs11:token={token}{more}?module-path={self.module}"

    def make_token(self, label: str, *keys: PrivateKey) -> None:
        """A token with these keys, with ids 01, 02 …, and labels key1, key2 …"""
        self._run("--init-token", "--free", "--label", label, "--pin", _FIRST_PIN, "--so-pin", _FIRST_PIN)
        for number, key in enumerate(keys, 1):
            with NamedTemporaryFile(dir=self.directory) as file:
                file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
                file.flush()
                named = ["--label", f"key{number}", "--id", f"{number:02x}"]
                self._run("--import", file.name, "--token", label, *named, "--pin", _FIRST_PIN)
        self._set_pin(label)

    def _set_pin(self, label: str) -> None:
        import pkcs11

        pkcs11.unload(str(self.module))  # it reads its tokens when it is loaded
        with next(pkcs11.lib(str(self.module)).get_tokens(token_label=label)).open(
            rw=True, user_pin=_FIRST_PIN
        ) as session:
            session.set_pin(_FIRST_PIN, PIN)
        pkcs11.unload(str(self.module))

    def _run(self, *arguments: str) -> None:
        command = [str(self.program), "--module", str(self.module), *arguments]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode != 0:
            raise PeerUnavailable(f"softhsm2-util does not run here: {(done.stderr or done.stdout).strip()}")


def soft_hsm(directory: Path) -> SoftHsm:
    """SoftHSM with tokens in `directory`; `PeerUnavailable` where Debian's build does not run."""
    root = release("bookworm", ("softhsm2",), name="softhsm").root
    module = next(iter(sorted((root / "usr/lib").glob("*/softhsm/libsofthsm2.so"))), None)
    if module is None:
        raise PeerUnavailable("Debian's softhsm2 holds no libsofthsm2.so")
    (directory / "tokens").mkdir()
    made = SoftHsm(module, root / "usr/bin/softhsm2-util", directory)
    made.configuration.write_text(
        f"directories.tokendir = {directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    return made
