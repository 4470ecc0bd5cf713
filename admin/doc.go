// Package admin is the platform's own HTTP API and the caller for it: what
// Apple's developer portal lets people do, for programs.
//
// One table of operations serves three sides. An [Operation] is a value, such
// as [IssueCertificate], with a method, a path and the types of what goes in
// and comes out. [API] answers it over HTTP. [Operation.Call] carries it out at
// a [Target]: [Local] is a portal in this process, [Remote] an API elsewhere.
// Whoever writes a verb writes it once.
//
// An operation takes one JSON object. The members that its path names stand in
// the path; of a GET the rest stand in the query, else in the body. It
// answers with 200 and one JSON object, or with a [Problem].
//
// Who has the API key may do everything. Answers hold no secrets but three,
// each when it is made and never again: a signing key (.p8), an enrolment
// code, and a backup, which is encrypted to those whom the request names.
package admin
