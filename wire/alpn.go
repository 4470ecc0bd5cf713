package wire

// ALPN protocol names of a courier connection, which say how the device proves
// itself and which items may be sent (docs/protocol/courier.md#alpn). A
// connection without ALPN is treated as ALPNSecurityV2.
const (
	// ALPNSecurityV3 is the login of today: no TLS client certificate, but
	// certificate, nonce and signature inside Connect.
	ALPNSecurityV3 = "apns-security-v3"
	// ALPNSecurityV2 is the older login, by TLS client certificate.
	ALPNSecurityV2 = "apns-security-v2"
	// ALPNHerald is Herald's own: ALPNSecurityV3 with extension items.
	ALPNHerald = "herald-courier-1"
)
