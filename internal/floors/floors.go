// Package floors holds the map of Herald's architecture: which package stands
// on which floor. A package may import only from a lower floor, never
// sideways; the test of this package reads `go list` and says so.
//
// The map is the architecture: whoever adds a package puts it here first.
package floors

// Floor is the height of a package. Lower floors know nothing of higher ones.
type Floor int

// Map gives the floor of each package by its path below the module. The
// trailing "/..." of an entry covers what lies beneath.
//
// A conformance suite (spool/spooltest) stands on its room's floor and is the
// one kind of package that may import from its own floor: its room, and no
// other.
var Map = map[string]Floor{
	"apns":               0, // the nouns
	"internal/memnet":    0, // a network in memory
	"internal/floors":    0, // this map
	"internal/door":      0, // accepting connections
	"internal/envelope":  0, // secrets at rest
	"internal/load":      0, // pushes in bulk, to measure
	"internal/recipient": 0, // to whom a backup is encrypted
	"internal/wheel":     0, // very many timers

	"wire":       1, // bytes and nouns: provider API, courier protocol
	"credential": 1, // keys, provider tokens, requests, certificates
	"h2":         1, // the HTTP/2 connection

	"apnsclient/payload": 1, // the documents that a push carries
	"apnstest/scripted":  1, // a gateway that does as it is told, to test against

	"portal":     2, // who may send
	"registry":   2, // who can receive
	"spool":      2, // what is in between
	"trace":      2, // what happened
	"faults":     2, // what goes wrong on demand
	"apnsclient": 2, // the client library

	"gateway":  3, // the provider's door
	"courier":  3, // the device's door
	"device":   3, // the device agent
	"provider": 3, // the push server

	"apnsclient/apnsprom": 3, // metrics of the client library

	"device/agent": 4, // the program around the device: apps of any language

	"admin":   4, // the platform's own HTTP API
	"console": 4, // the web console
	"store":   4, // backends of the rooms' stores

	"platform": 5, // composition root

	"apnstest":    6, // the whole platform in memory
	"conformance": 6, // cases aimed at any gateway

	"cmd/herald": 7, // one file a verb
	"e2e":        7, // real third-party clients
}

// Narrow lists packages that may import less than their floor allows: the
// packages named, and whatever those floors below say, but nothing else.
//
// A device and a provider are on the far side of the wire. Nothing of the
// push service may reach them but bytes, or they would stop proving it. The same
// goes for conformance, which has the portal make what it needs, as any
// caller of the API may.
var Narrow = map[string][]string{
	"apnsclient/payload":  {"apns"},
	"apnsclient/apnsprom": {"apns", "apnsclient"},

	"device":       {"apns", "wire", "credential"},
	"device/agent": {"apns", "wire", "device"},
	"provider":     {"apns", "wire", "credential", "h2", "apnsclient", "apnsclient/payload", "trace"},
	"conformance":  {"apns", "wire", "credential", "portal", "admin"},
}
