// Package audience is the provider's room of whom it can reach: the
// installations of its apps, with their device tokens, tags and people.
//
// An [Installation] is what a provider knows of an app on a device. The app
// says it at every launch, as a [Registration]; [Installation.Register] is what
// becomes of the two. Where notifications go is a [Destination]: a device token
// with its kind and environment, and its [Standing], which is what the push
// service's answers have made of it. Each answer is judged by [Standing.After].
//
// Each installation has an [Ordinal], a dense number within its app. 8,192 of
// them are a [Chunk], and an audience is, chunk by chunk, a set of [Members].
//
// It knows neither messages nor how they are sent: see provider/outbox.
package audience
