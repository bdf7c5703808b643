"""Login servers behind a gateway: FreeRADIUS and hostapd, each an independent end of EAP with TLS.

They run in the gateway's namespace, in the root file system of their release, and speak RADIUS on the loopback.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from client.lab.namespaces import Namespace, Surroundings
from client.lab.pki import Authority, Issued, pem

from .releases import PeerUnavailable, Release, release

PACKAGES = ("freeradius", "hostapd")
SHARED_SECRET = "between-gateway-and-login-server"
PORT = 1812
_START_PATIENCE = 15.0  # seconds


def radius_release(suite: str) -> Release:
    """The login servers of a Debian release."""
    return release(suite, PACKAGES, "radius")


@dataclass(frozen=True, slots=True)
class LoginService:
    """What a login server is to do: its certificate, its users, and how it speaks TLS.

    `method` is what it begins with ("tls", "ttls", "peap"); `inner` what it begins with inside.
    """

    certificate: Issued
    clients: Authority  # who issues the users' certificates
    users: Mapping[str, str]
    method: str
    inner: str = "mschapv2"
    newest: str = "1.3"


class LoginServer:
    """A running login server; use it as a context manager."""

    NAME: ClassVar[str]
    STARTED: ClassVar[str]  # what it says once it answers

    def __init__(self, radius: Release, namespace: Namespace, service: LoginService) -> None:
        self.release = radius
        self.namespace = namespace
        self.service = service
        self.directory = Path(tempfile.mkdtemp(prefix="roam-radius-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._write()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self.namespace.stop(self._process)
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def log(self) -> str:
        """Everything that it has said so far."""
        return (self.directory / "output.log").read_text(errors="replace")

    @property
    def version(self) -> str:
        """Such as "3.2.7"."""
        raise NotImplementedError

    def enter(self) -> None:
        """Make the release's root the calling thread's, with our files at /run/peer."""
        self.release.enter(self.directory)

    def command(self) -> Sequence[str]:
        """How it is started; its files are at /run/peer."""
        raise NotImplementedError

    def files(self) -> Mapping[str, str]:
        """Its configuration."""
        raise NotImplementedError

    def _write(self) -> None:
        certificate = self.service.certificate
        chain = (certificate.certificate, *certificate.intermediates)
        common = {
            "server.pem": "".join(pem(item) for item in chain),
            "server.key": pem(certificate.key),
            "clients.pem": pem(self.service.clients.certificate),
        }
        for name, text in {**common, **self.files()}.items():
            file = self.directory / name
            file.touch(0o600)
            file.write_text(text)

    def _start(self) -> None:
        with (self.directory / "output.log").open("ab") as output:
            around = Surroundings(
                prepare=self.enter,
                environment={"PATH": "/usr/sbin:/usr/bin"},
                output=output.fileno(),
            )
            self._process = self.namespace.start(self.command(), around)
        deadline = time.monotonic() + _START_PATIENCE
        while self.STARTED not in self.log:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise PeerUnavailable(
                    f"{self.NAME} of {self.release.suite} did not start:\n{self.log[-3000:]}"
                )
            time.sleep(0.01)  # there is nothing to wait on: it says so in its log


class FreeRadius(LoginServer):
    """FreeRADIUS, with a configuration of its own and none of the distribution's."""

    NAME = "FreeRADIUS"
    STARTED = "Ready to process requests"

    @property
    def version(self) -> str:
        """From its first words."""
        return self.log.partition("FreeRADIUS Version ")[2].split()[0]

    def command(self) -> Sequence[str]:
        """In the foreground, as talkative as it gets."""
        return [
            "/usr/sbin/freeradius",
            "-X",
            "-d",
            "/run/peer",
            "-D",
            "/usr/share/freeradius",
            "-n",
            "radiusd",
        ]

    def files(self) -> Mapping[str, str]:
        """One server outside TLS, one inside."""
        service = self.service
        users = [f'"{name}" Cleartext-Password := "{password}"' for name, password in service.users.items()]
        settings = _FREERADIUS.format(
            port=PORT,
            secret=SHARED_SECRET,
            method=service.method,
            inner=service.inner,
            tls_config=TLS_CONFIG.format(newest=service.newest),
        )
        return {"radiusd.conf": settings, "users": "\n".join(users) + "\n"}


_FREERADIUS = """\
prefix = /usr
raddbdir = /run/peer
logdir = /run/peer
run_dir = /run/peer
libdir = /usr/lib/freeradius
security {{
  allow_vulnerable_openssl = yes
}}
client gateway {{
  ipaddr = 127.0.0.1
  secret = {secret}
  require_message_authenticator = no
}}
thread pool {{
  start_servers = 1
  max_servers = 1
  min_spare_servers = 1
  max_spare_servers = 1
}}
modules {{
  pap {{
  }}
  mschap {{
  }}
  files {{
    usersfile = /run/peer/users
  }}
  eap inner {{
    default_eap_type = {inner}
{tls_config}    tls {{
      tls = common
    }}
    md5 {{
    }}
    gtc {{
      auth_type = PAP
    }}
    mschapv2 {{
    }}
  }}
  eap {{
    default_eap_type = {method}
{tls_config}    tls {{
      tls = common
    }}
    ttls {{
      tls = common
      default_eap_type = {inner}
      virtual_server = inside
    }}
    peap {{
      tls = common
      default_eap_type = {inner}
      virtual_server = inside
    }}
  }}
}}
server outside {{
  listen {{
    type = auth
    ipaddr = 127.0.0.1
    port = {port}
  }}
  authorize {{
    eap
  }}
  authenticate {{
    eap
  }}
}}
server inside {{
  authorize {{
    mschap
    inner {{
      ok = return
    }}
    files
    pap
  }}
  authenticate {{
    Auth-Type PAP {{
      pap
    }}
    Auth-Type MS-CHAP {{
      mschap
    }}
    inner
  }}
}}
"""
TLS_CONFIG = """\
    tls-config common {{
      private_key_file = /run/peer/server.key
      certificate_file = /run/peer/server.pem
      ca_file = /run/peer/clients.pem
      fragment_size = 1024
      include_length = yes
      auto_chain = no
      tls_min_version = "1.2"
      tls_max_version = "{newest}"
      cipher_list = "DEFAULT"
      ecdh_curve = ""
    }}
"""


class Hostapd(LoginServer):
    """hostapd's own login server, which alone among the free ones speaks PEAP's cryptobinding."""

    NAME = "hostapd"
    STARTED = "AP-ENABLED"

    @property
    def version(self) -> str:
        """Of the package: the program says none while it runs."""
        listed = (self.release.root.parent / "complete").read_text().splitlines()
        name = next(line for line in listed if line.startswith("hostapd_"))
        return name.split("_")[1].replace("%3a", ":").partition(":")[2].partition("-")[0]

    def command(self) -> Sequence[str]:
        """In the foreground, with details."""
        return ["/usr/sbin/hostapd", "-dd", "/run/peer/hostapd.conf"]

    def files(self) -> Mapping[str, str]:
        """Phase 1 by method, phase 2 by inner method; TLS 1.3 has to be switched on."""
        service = self.service
        flag = "[ENABLE-TLSv1.3]" if service.newest == "1.3" else "[DISABLE-TLSv1.3]"
        outside = f"* {service.method.upper()}\n"
        inside = [
            f'"{name}" {_HOSTAPD_INNER[service.inner]} "{password}" [2]'
            for name, password in service.users.items()
        ]
        settings = _HOSTAPD.format(port=PORT, flag=flag)
        return {
            "hostapd.conf": settings,
            "users": outside + "\n".join(inside) + "\n",
            "radius-clients": f"127.0.0.1/32 {SHARED_SECRET}\n",
        }


_HOSTAPD_INNER = {
    "mschapv2": "MSCHAPV2",
    "ttls-mschapv2": "TTLS-MSCHAPV2",
    "pap": "TTLS-PAP",
    "gtc": "GTC",
    "md5": "MD5",
}
_HOSTAPD = """\
driver=none
radius_server_clients=/run/peer/radius-clients
radius_server_auth_port={port}
eap_server=1
eap_user_file=/run/peer/users
ca_cert=/run/peer/clients.pem
server_cert=/run/peer/server.pem
private_key=/run/peer/server.key
tls_flags={flag}
"""
