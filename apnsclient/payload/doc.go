// Package payload builds the JSON document of a notification, an
// [apns.Payload], out of structs that read like the document:
//
//	body, err := payload.APS{
//		Alert:  payload.Alert{Title: "Table for two", Body: "Sam invites you to dinner."},
//		Sound:  payload.DefaultSound,
//		Badge:  new(3),
//		Custom: map[string]any{"invitation": 4711},
//	}.Marshal()
//
// [APS] is for what a person sees, hears or does not notice, [LiveActivity] for
// Live Activities; [MDM], [FileProvider] and [Wallet] are the documents that have
// no aps. What a field is left out for is left out of the document. The same
// values always give the same bytes, the keys inside aps in the order of the
// fields and those beside it in that of the alphabet.
//
// A device ignores what it cannot read, and the service looks at very little
// (docs/protocol/provider.md#payload), so that a mistake would show as silence.
// This package refuses it instead: a [*FieldError] names the field, what is
// wrong with it and what to do.
//
// The service counts bytes. Marshal does not, since the limit depends on how the
// payload is sent; Sender.Push refuses what is too large, [CheckSize] does so
// before, and Fit cuts a text so that the rest arrives:
//
//	body, err := message.Fit(apns.PushTypeAlert.MaxPayloadBytes())
//
// The package does no I/O and knows nothing of how a payload is sent: which push
// type goes with it is found by apns.InferPushType, which Sender.Push calls.
package payload
