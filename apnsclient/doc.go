// Package apnsclient sends notifications to a gateway, Apple's or Herald's:
// one [Sender] for a credential in an environment, and one call, Push.
//
// It is a library, not a server: it keeps no notification, repeats nothing
// that the gateway refused, and decides nothing about device tokens. What it
// does take care of is the road to the gateway: one HTTP/2 connection with a
// health check, the provider token and its renewal, a deadline on every push,
// and an error that says what may be done next.
//
// The life of a push: [Sender.Push] completes the notification (apns-id, push
// type), checks what can be known without the gateway, takes a provider token
// where the sender has a key, and posts. The result is a [Receipt] or one of
// these errors, told apart with errors.As:
//
//   - [*CheckError]: the notification or the credential is wrong, and was not
//     sent. The text says how to mend it.
//   - [*apns.Rejection]: the gateway refused it.
//   - [*CertificateError]: the gateway refused the certificate itself.
//   - [*UnsentError]: it never reached the gateway; sending it again is safe.
//   - [*UnansweredError]: it was sent and not answered, so that it may have
//     been delivered. Send it again with the same NotificationID, or not at all.
package apnsclient
