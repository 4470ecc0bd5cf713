// Package credential reads and makes what proves an identity in Apple's push
// mechanism: certificate requests, push certificates, device certificates, the
// authority that issues them, provider keys (.p8), provider tokens and the
// files in which a certificate and its key travel together.
//
// Bytes go in and values come out. The package keeps no state, opens no file
// and no socket, and never asks what time it is: who may have a credential,
// until when, and whether it was revoked is for the portal to say.
//
// The life of a push certificate in these words: an app's team makes a key
// and a request for it ([NewRequest]); the portal reads the request
// ([ParseRequest]), keeps only its public key and has an [Authority] issue the
// certificate ([Authority.IssuePush]); the team joins it with the key as an
// [Identity]; the gateway reads from it what its holder may do
// ([ParsePushCertificate]).
//
// The life of a provider token: a team signs with its key
// ([MintProviderToken]), the gateway reads ([ParseProviderToken]), looks up
// the key that the token names, and verifies ([ProviderToken.Verify]).
//
// No error of this package repeats key material, a password or a provider
// token, nor the text of a parser that has seen one.
package credential
