"""The client's side of TLS 1.2 and 1.3 for a private key that is not in memory.

OpenSSL, which speaks TLS wherever the key is at hand (`client.ike.eap.tls`), wants a signature at once; a card or
an agent in the user's session gives it later.  So this package is the handshake without input and output: it stops
where our signature is due, says over what, and goes on when it has come.  All primitives are those of
`cryptography`, the judgement of the server is that of `client.ike.trust`.

    client     what the EAP methods use: octets in and out, the one family of errors, alerts
    dialogue   what the flights of both versions share: messages awaited, the server's proof, our signature
    flight12   TLS 1.2 after the ServerHello (RFC 5246), flight13 the same of TLS 1.3 (RFC 8446)
    messages   handshake messages
    records    records, sealed and opened
    schedule   keys
    suites     what we offer: suites, groups, signature schemes

There is one way to do each thing: ephemeral key agreement on curves, AEAD ciphers, no resumption, no
renegotiation, no compression, no early data.
"""
