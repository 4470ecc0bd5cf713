// Package provider is the push server of an app's team: it knows which
// installations of its apps there are, takes messages for them, and sends each to
// every device token that it is for.
//
// The main type is [PushServer]. It joins the rooms below it, each with a store of
// its own: whom it can reach (provider/audience), what was promised
// (provider/outbox) and who may do what (provider/account); and it runs the loops
// between them and the push service, Apple's or Herald's, with which it shares
// nothing but bytes. Its methods are what a call of the API does (provider/api).
//
// What [PushServer.Send] has returned is durable, if the stores are: it reaches
// every installation that it is for, or its receipt says why not.
package provider
