// Package portal is the room of those who may send: teams, App IDs, the
// certificates and keys issued to them, the certificate authority behind
// these, and the enrolment codes by which devices get theirs.
//
// It stands in for Apple's developer portal on one side (issue, list, revoke)
// and answers the gateway's question on the other: may this certificate or
// provider token send to this topic, in this environment? The answer is a
// [Sender], or an *apns.Rejection.
//
// The authority has two tiers: a root, and under it one intermediate each for
// providers, devices and servers, so that none can pass for another
// (docs/protocol/certificates.md#authority).
//
// Portal keeps no private key of a provider or a device: they make their own
// and send a certificate signing request.
package portal
