"""Name resolution through the tunnels: what it should be, who is in charge of it here, and how that one is told.

`wanted` turns what the gateway and the profile say into a `DnsConfig` that cannot be wrong.  `choose` decides
from facts alone which of four back-ends is in charge: systemd-resolved, NetworkManager, resolvconf, or the file
/etc/resolv.conf itself.  `Resolver` applies, watches, repairs and restores; what an ordinary user may not do is
handed to the root-owned `roam-dns`, which runs the same code.
"""
