// Package event tells an app team's other systems what happened at its provider: a
// message began or ended, device tokens are gone, a credential was refused, sending
// stands still.
//
// Each [Event] goes to the end of one [Log], over a [Store], with the next sequence
// number. Whoever reads keeps the number it has come to, and goes on from there:
// GET /v1/events does so for those who ask, and a [Caller] for webhooks, to which
// events are posted in signed batches ([Sign]).
//
// A [Webhook] is kept by a [Roll], with its secret sealed and its [Progress], which
// is durable: after a crash it goes on with what was not answered. What a failure
// means is decided by [Progress.Step], which is pure: it is tried again after a
// wait, and after days of failures the webhook is paused, which is an event itself.
//
// Events are told at least once. One that is told again has the ID it had.
package event
