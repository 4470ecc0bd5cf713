package api

import "net/http"

// Code is what programs tell a problem by. It never changes its meaning.
type Code string

// The codes of problems, each with one HTTP status.
const (
	CodeParameter       Code = "bad_parameter"
	CodeJSON            Code = "malformed_json"
	CodeBody            Code = "bad_body" // it did not arrive, or is not what its Content-Type says
	CodeKey             Code = "unauthenticated"
	CodeForbidden       Code = "forbidden"
	CodeNotFound        Code = "not_found"
	CodeMethod          Code = "method_not_allowed"
	CodeConflict        Code = "conflict"
	CodePeople          Code = "different_people"
	CodeState           Code = "wrong_state"
	CodeNoCredential    Code = "no_credential"
	CodeTooLarge        Code = "body_too_large"
	CodeMediaType       Code = "unsupported_media_type"
	CodeInvalid         Code = "invalid"
	CodeIdempotencyKey  Code = "idempotency_key_reused"
	CodeRate            Code = "rate_limited"
	CodeInternal        Code = "internal"
	CodeNoChecker       Code = "no_checker"
	CodeFull            Code = "full"
	CodeStopping        Code = "stopping"
	CodeTimeout         Code = "timeout"
	CodeURI             Code = "uri_too_long"
	CodeContentEncoding Code = "unsupported_content_encoding"
)

// problems say of each code its HTTP status, its title, and what it means, from which
// docs/problems.md is made.
var problems = map[Code]problemKind{
	CodeParameter: {
		http.StatusBadRequest, "A parameter is wrong",
		"A parameter of the path, the query or the header is unknown, there twice or not of its form. `errors` says which.",
	},
	CodeJSON: {
		http.StatusBadRequest, "The body is not JSON",
		"The body is not JSON in UTF-8, or there is none. `detail` says at which byte.",
	},
	CodeBody: {
		http.StatusBadRequest, "The body cannot be read",
		"The body broke off, or is not the form that its Content-Type says.",
	},
	CodeKey: {
		http.StatusUnauthorized, "API key refused",
		"There is no API key, or it is none, was revoked or has expired. Which of these is not said. A key goes in the header: `Authorization: Bearer sk_…`.",
	},
	CodeForbidden: {
		http.StatusForbidden, "The API key is not for this",
		"The API key is good, but lacks the scope or is not for the app. `WWW-Authenticate` names the scope. A key that is not for an app is answered so whether there is such an app or not.",
	},
	CodeNotFound: {
		http.StatusNotFound, "Not found",
		"There is no such path, or nothing of that ID.",
	},
	CodeMethod: {
		http.StatusMethodNotAllowed, "Method not allowed",
		"The path has no such method. `Allow` has those that it has.",
	},
	CodeConflict: {
		http.StatusConflict, "Against what is there",
		"What is there already is in the way, such as another app of the same ID; `errors` says what. Nothing was done.",
	},
	CodePeople: {
		http.StatusConflict, "The aliases are of different people",
		"The aliases of one registration are those of more than one person, who cannot be made one. Leave out the alias that is wrong.",
	},
	CodeState: {
		http.StatusConflict, "Not possible in this state",
		"The message is in a state in which that cannot be done, such as to pause one that has ended.",
	},
	CodeNoCredential: {
		http.StatusConflict, "The app has no credential for this",
		"The app has no credential that is valid now for the environment and topic. Upload one.",
	},
	CodeTooLarge: {
		http.StatusRequestEntityTooLarge, "The body is too large",
		"The body is larger than `detail` says. It was not read.",
	},
	CodeMediaType: {
		http.StatusUnsupportedMediaType, "Unsupported Content-Type",
		"The Content-Type is none of those that are taken here; `detail` has them. `curl -d` says `application/x-www-form-urlencoded` unless it is told otherwise.",
	},
	CodeInvalid: {
		http.StatusUnprocessableEntity, "Something in the request is wrong",
		"Something in the body is wrong. `errors` has all of it, each with a JSON pointer. Nothing was done.",
	},
	CodeIdempotencyKey: {
		http.StatusUnprocessableEntity, "The idempotency key was used for another request",
		"The Idempotency-Key came with another request within the last 24 hours. A new request takes a new key.",
	},
	CodeRate: {
		http.StatusTooManyRequests, "Too many requests",
		"The API key makes more requests than it may. `Retry-After` says when there is room; `RateLimit` and `RateLimit-Policy`, on every answer, say it before.",
	},
	CodeInternal: {
		http.StatusInternalServerError, "Internal error",
		"The fault is on our side. The log has more, under the ID of the request.",
	},
	CodeNoChecker: {
		http.StatusNotImplemented, "Nobody to check credentials",
		"This provider has no gateway to check credentials with.",
	},
	CodeFull: {
		http.StatusServiceUnavailable, "No room for more",
		"There is no room on the disk for more. Nothing was taken in or changed; come again after `Retry-After`.",
	},
	CodeStopping: {
		http.StatusServiceUnavailable, "The provider is stopping",
		"The provider is stopping. Nothing was taken in; come again after `Retry-After`.",
	},
	CodeTimeout: {
		http.StatusServiceUnavailable, "It took too long",
		"It took longer than a request may. Whether it was done is not known: ask, or do it again if that does no harm, as all but a message without an Idempotency-Key.",
	},
	CodeURI: {
		http.StatusRequestURITooLong, "The address is too long",
		"The path or the query is longer than any that there is.",
	},
	CodeContentEncoding: {
		http.StatusUnsupportedMediaType, "Unsupported Content-Encoding",
		"Bodies are taken as they are, without gzip.",
	},
}

// problemKind is what all problems of a code have in common.
type problemKind struct {
	status       int
	title, about string
}
