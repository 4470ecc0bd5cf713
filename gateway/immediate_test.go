package gateway_test

import "testing"

// TestImmediate runs tests with a spool that need not be waited for, as most pushes
// are then decided at once.
func TestImmediate(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"Dialects": TestDialects, "IssuedAt": TestIssuedAt, "Binding": TestBinding, "BindingUndecided": TestBindingUndecided,
		"StreamLimit": TestStreamLimit, "StreamLimitFalls": TestStreamLimitFalls, "ManyStreams": TestManyStreams, "KeyScopes": TestKeyScopes,
		"Vectors": TestVectors, "Order": TestOrder, "ManyPushes": TestManyPushes,
		"StoreHangs": TestStoreHangs, "RetryAfter": TestRetryAfter, "SpoolClosed": TestSpoolClosed, "Overload": TestOverload,
		"Repeat": TestRepeat, "LargeBody": TestLargeBody, "ProviderTokenUpdates": TestProviderTokenUpdates,
		"TooManyRequests": TestTooManyRequests, "UniqueID": TestUniqueID,
		"RevokeIdle": TestRevokeIdle, "RevokeNextPush": TestRevokeNextPush, "RevokeKey": TestRevokeKey,
		"CertificateTopics": TestCertificateTopics, "CertificateExpires": TestCertificateExpires, "PeerLeaves": TestPeerLeaves,
		"LegacyGoodBadGood": TestLegacyGoodBadGood, "LegacyGone": TestLegacyGone, "LegacyCrowd": TestLegacyCrowd,
	} {
		t.Run(name, test)
	}
}
