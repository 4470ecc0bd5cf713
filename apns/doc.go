// Package apns holds the nouns of Apple's push mechanism: what a provider
// sends, where it goes, and the words the push service answers with.
//
// It does no I/O, keeps no state and imports nothing of Herald. Every other
// package speaks in these types, spelled as Apple spells them.
//
// The life of a notification in these words: a provider addresses a
// [Notification] to a [DeviceToken]; the gateway either refuses it with a
// [Rejection] or resolves the token to an [Address] and accepts; the courier
// brings it to the device at that address, where the app's [Alert] is shown.
package apns
