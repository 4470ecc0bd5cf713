// Package api is the provider's door for those who send and for the apps
// themselves: REST over net/http.
//
// An [API] is an [http.Handler]. All that it can do is one table of operations,
// from which come both who answers a request and the OpenAPI 3.1 document at
// /openapi.json. A file has the operations of one resource and the JSON that they
// take and give.
//
// The way of a request: it gets an ID (Request-Id), its operation is looked up, its
// API key checked and counted against the key's rate, then the key's right to do
// that in the app. The body is read up to its bound and held against the type that
// the operation takes, member by member, so that every fault has a JSON pointer.
// What is refused is a [Problem] (RFC 9457) with a [Code]; what went wrong on our
// side is logged once, with the ID of the request, and not told.
//
// Publishable keys (pk_…) are in every copy of an app, so they are no secret: with
// one an installation can be registered and changed, but nothing is shown that the
// request did not say, and nothing is removed.
package api
