"""FreeRADIUS with accounts in a database: passwords that expire and can be changed, accounts that are locked.

What a domain does behind a login server, its own modules do here: `mschap` judges and changes passwords, `sql`
keeps them, and a new password counts only if it is long enough for the policy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from client.ike.eap.nt_hash import nt_hash
from client.ike.keys import Secret
from client.lab.namespaces import Namespace

from .radius import PORT, SHARED_SECRET, TLS_CONFIG, FreeRadius, LoginService
from .releases import Release

LEAST = 12
"""Characters of a new password, by the server's policy."""
NORMAL, EXPIRED, LOCKED, DISABLED = "[U          ]", "[Ue         ]", "[UL         ]", "[UD         ]"
"""An account's state, as Samba writes it."""
_DATABASE = "accounts.db"


@dataclass(frozen=True, slots=True)
class Account:
    """`refusal` is what the policy answers the right password with: MS-CHAP-Error without its challenge."""

    password: str
    state: str = NORMAL
    refusal: str = ""


class PasswordServer(FreeRadius):
    """The server; it begins with EAP-MSCHAPv2, and speaks PEAP and TTLS to those who want them."""

    def __init__(
        self, radius: Release, namespace: Namespace, service: LoginService, accounts: Mapping[str, Account]
    ) -> None:
        super().__init__(radius, namespace, service)
        self._accounts = accounts

    def files(self) -> Mapping[str, str]:
        """Its configuration; the database is filled beside it."""
        with closing(sqlite3.connect(self.directory / _DATABASE)) as database, database:
            database.execute(
                "CREATE TABLE account (name TEXT PRIMARY KEY, hash TEXT, state TEXT, refusal TEXT)"
            )
            database.executemany(
                "INSERT INTO account VALUES (?, ?, ?, ?)",
                [(name, _hash(of.password), of.state, of.refusal) for name, of in self._accounts.items()],
            )
        settings = _SETTINGS.format(
            port=PORT,
            secret=SHARED_SECRET,
            database=f"/run/peer/{_DATABASE}",
            change=_CHANGE.format(least=LEAST, normal=NORMAL),
            tls_config=TLS_CONFIG.format(newest=self.service.newest),
            judge=_JUDGE,
        )
        return {"radiusd.conf": settings}

    def keeps(self, name: str, password: str) -> bool:
        """Whether this is the account's password now, and the account as good as any."""
        with closing(sqlite3.connect(self.directory / _DATABASE)) as database:
            kept = database.execute("SELECT hash, state FROM account WHERE name = ?", (name,)).fetchone()
        return bool(kept == (_hash(password), NORMAL))

    def tries(self, name: str) -> int:
        """How many proofs of this account's password it has judged."""
        return self.log.count(f"mschap: Creating challenge hash with username: {name}")


def _hash(password: str) -> str:
    return f"0x{nt_hash(Secret(password.encode())).reveal().hex()}"


_CHANGE = (
    "UPDATE account SET hash = '%{{MS-CHAP-New-NT-Password}}', state = '{normal}' "
    "WHERE name = '%{{User-Name}}' AND length('%{{MS-CHAP-New-Cleartext-Password}}') >= {least}"
)
_JUDGE = """\
    Auth-Type MS-CHAP {
      mschap
      if (ok && &control:Tmp-String-0 && &control:Tmp-String-0 != "") {
        update reply {
          MS-CHAP2-Success !* ANY
          MS-CHAP-Error := "!%{control:Tmp-String-0} C=%{randstr:hhhhhhhhhhhhhhhh} V=3 M=Refused by policy"
        }
        reject
      }
    }
"""
_SETTINGS = """\
prefix = /usr
raddbdir = /run/peer
logdir = /run/peer
run_dir = /run/peer
libdir = /usr/lib/freeradius
security {{
  allow_vulnerable_openssl = yes
  reject_delay = 0
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
  always reject {{
    rcode = reject
  }}
  expr {{
  }}
  mschap {{
    passchange {{
      local_cpw = "%{{sql:{change}}}"
    }}
  }}
  sql {{
    dialect = "sqlite"
    driver = "rlm_sql_sqlite"
    sqlite {{
      filename = "{database}"
    }}
    read_groups = no
    read_profiles = no
    sql_user_name = "%{{User-Name}}"
    authorize_check_query = "\\
      SELECT 1, name, 'NT-Password', hash, ':=' FROM account WHERE name = '%{{SQL-User-Name}}' UNION \\
      SELECT 2, name, 'SMB-Account-Ctrl-Text', state, ':=' FROM account WHERE name = '%{{SQL-User-Name}}' UNION \\
      SELECT 3, name, 'Tmp-String-0', refusal, ':=' FROM account WHERE name = '%{{SQL-User-Name}}'"
    pool {{
      start = 1
      min = 1
      max = 1
      spare = 0
    }}
  }}
  eap inner {{
    default_eap_type = mschapv2
    mschapv2 {{
      send_error = yes
    }}
  }}
  eap {{
    default_eap_type = mschapv2
    mschapv2 {{
      send_error = yes
    }}
{tls_config}    ttls {{
      tls = common
      default_eap_type = mschapv2
      virtual_server = inside
    }}
    peap {{
      tls = common
      default_eap_type = mschapv2
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
    mschap
    eap {{
      ok = return
    }}
    sql
  }}
  authenticate {{
{judge}    eap
  }}
}}
server inside {{
  authorize {{
    mschap
    inner {{
      ok = return
    }}
    sql
  }}
  authenticate {{
{judge}    inner
  }}
}}
"""
