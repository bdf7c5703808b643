"""Write down what `ip xfrm` of iproute2 sends to the kernel, for tests/system/vectors/ip_xfrm.toml.

With `--packet`, what hands whole packets to a network device, for ip_xfrm_packet.toml: from iproute2 6.2 on.
Needs root, ip and strace.  Everything runs in a network namespace that ends with it; a kernel without ESP refuses
most of it, which does not matter.  The sequence number, which is a time, is written as zero.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

AEAD = "aead rfc4106(gcm(aes)) 0x" + bytes(range(36)).hex() + " 128"
CHACHA = "aead rfc7539esp(chacha20,poly1305) 0x" + bytes(range(36)).hex() + " 128"
CBC = f"enc cbc(aes) 0x{bytes(range(32)).hex()} auth-trunc hmac(sha256) 0x{bytes(range(32, 64)).hex()} 128"
V4 = "src 192.0.2.1 dst 192.0.2.2 proto esp"
V6 = "src 2001:db8::1 dst 2001:db8::2 proto esp"
TUNNEL = "mode tunnel"
MARK = "output-mark 0x7300 mask 0xff00 if_id 0x73000001"
WIDE = "flag esn replay-window 1024"
LIMITS = "limit byte-soft 1000 limit byte-hard 2000 limit packet-soft 300 limit packet-hard 400"
AGES = "limit time-soft 3000 limit time-hard 3600"
TEMPLATE = "tmpl src 192.0.2.1 dst 192.0.2.2 proto esp"
FLOW = "src 10.77.1.5/32 dst 10.77.0.0/24"
PORTS = f"{FLOW} proto tcp sport 1024 dport 443"
FLOW6 = "src fd07::5/128 dst ::/0"

COMMANDS = {
    "newsa_aead": f"state add {V4} spi 0x11223344 reqid 7 {TUNNEL} {AEAD} flag af-unspec {MARK}",
    "newsa_esn_encap": f"state add {V4} spi 0x11223344 reqid 7 {TUNNEL} {AEAD} flag af-unspec {WIDE} {MARK} "
    f"encap espinudp 61440 4500 0.0.0.0 {LIMITS} {AGES}",
    "newsa_replay": f"state add {V4} spi 0x11223344 reqid 7 {TUNNEL} {AEAD} flag af-unspec {WIDE} "
    "replay-seq 5 replay-seq-hi 1 replay-oseq 9 replay-oseq-hi 2 if_id 0x73000001",
    "newsa_cbc_v6": f"state add {V6} spi 0x55667788 reqid 8 {TUNNEL} {CBC} flag af-unspec if_id 0x73000001",
    "newsa_chacha": f"state add {V6} spi 0x55667788 reqid 8 {TUNNEL} {CHACHA} flag af-unspec if_id 0x73000001",
    "newsa_offload_out": f"state add {V4} spi 0x11223344 reqid 7 {TUNNEL} {AEAD} flag af-unspec {MARK} "
    "offload dev lo dir out",
    "newsa_offload_in": f"state add {V4} spi 0x11223344 reqid 7 {TUNNEL} {AEAD} flag af-unspec "
    "if_id 0x73000001 offload dev lo dir in",
    "updsa": f"state update {V4} spi 0x11223344 reqid 7 {TUNNEL} {AEAD} flag af-unspec {MARK}",
    "delsa": f"state delete {V4} spi 0x11223344",
    "getsa_v6": f"state get {V6} spi 0x55667788",
    "allocspi": f"state allocspi {V4} mode tunnel reqid 7 min 0xc0000000 max 0xcfffffff",
    "newpolicy_out": f"policy add {FLOW} dir out priority 100 if_id 0x73000001 {TEMPLATE} spi 0x11223344 "
    "reqid 7 mode tunnel",
    "newpolicy_ports": f"policy add {PORTS} dir in priority 100 if_id 0x73000001 {TEMPLATE} reqid 7 mode tunnel",
    "updpolicy_block": f"policy update {FLOW} dir out priority 100 action block if_id 0x73000001",
    "newpolicy_v6": f"policy add {FLOW6} dir fwd priority 100 if_id 0x73000001 {TEMPLATE} reqid 7 mode tunnel",
    "delpolicy": f"policy delete {FLOW} dir out if_id 0x73000001",
    "dump_sas": "state list",
    "dump_policies": "policy list",
}

PACKET_COMMANDS = {
    "newsa_out": f"state add {V4} spi 0x11223344 reqid 7 {TUNNEL} {AEAD} flag af-unspec {MARK} "
    "offload packet dev lo dir out",
    "newsa_in": f"state add {V4} spi 0x11223344 reqid 7 {TUNNEL} {AEAD} flag af-unspec "
    "if_id 0x73000001 offload packet dev lo dir in",
    "newpolicy_out": f"policy add {FLOW} dir out priority 100 if_id 0x73000001 offload packet dev lo {TEMPLATE} "
    "spi 0x11223344 reqid 7 mode tunnel",
    "newsa_out_encap": f"state add {V4} spi 0x11223344 reqid 7 {TUNNEL} {AEAD} flag af-unspec {WIDE} {MARK} "
    "encap espinudp 61440 4500 0.0.0.0 offload packet dev lo dir out",
    "updpolicy_out": f"policy update {FLOW} dir out priority 100 if_id 0x73000001 offload packet dev lo {TEMPLATE} "
    "spi 0x11223344 reqid 7 mode tunnel",
    "updpolicy_out_v6": f"policy update {FLOW6} dir out priority 100 if_id 0x73000001 offload packet dev lo "
    f"{TEMPLATE} spi 0x11223344 reqid 7 mode tunnel",
}

_SENT = re.compile(r"^ \| [0-9a-f]{5}  ((?:[0-9a-f]{2} ?| )+?)  ", re.MULTILINE)


def main() -> None:
    """Print the file."""
    version = subprocess.run(("ip", "-V"), capture_output=True, text=True, check=True).stdout.split()[2]
    print(
        f"# Sent by `ip xfrm` of {version.rstrip(',')}: written by packaging/dev/capture_xfrm.py, not by hand."
    )
    for name, command in (PACKET_COMMANDS if "--packet" in sys.argv else COMMANDS).items():
        print(f'\n[{name}]\ncommand = "ip xfrm {command}"\nsent = "{_capture(command).hex()}"')


def _capture(command: str) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "log")
        traced = ("strace", "-o", str(log), "-e", "trace=sendmsg,sendto", "-e", "write=all")
        subprocess.run(
            ("unshare", "--net", *traced, "ip", "xfrm", *shlex.split(command)),
            capture_output=True,
            check=False,
        )
        message = _messages(log.read_text())[-1]  # before it, ip may ask for the number of a link
    return message[:8] + bytes(4) + message[12:]


def _messages(log: str) -> list[bytes]:
    """One for each call that strace has dumped."""
    calls = re.split(r"^send", log, flags=re.MULTILINE)[1:]
    return [bytes.fromhex("".join(_SENT.findall(call)).replace(" ", "")) for call in calls]


if __name__ == "__main__":
    main()
