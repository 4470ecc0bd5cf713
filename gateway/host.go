package gateway

import (
	"strings"

	"github.com/heraldpush/herald/apns"
)

// hosts are Apple's names of the services that providers talk to
// (docs/protocol/provider.md#environments,
// docs/protocol/broadcast.md#addresses).
var hosts = map[string]apns.Environment{
	"api.push.apple.com":             apns.Production,
	"api.sandbox.push.apple.com":     apns.Sandbox,
	"api.development.push.apple.com": apns.Sandbox, // the older name

	"api-broadcast.push.apple.com":                apns.Production,
	"api-broadcast.sandbox.push.apple.com":        apns.Sandbox,
	"api-manage-broadcast.push.apple.com":         apns.Production,
	"api-manage-broadcast.sandbox.push.apple.com": apns.Sandbox,

	"gateway.push.apple.com":          apns.Production,
	"gateway.sandbox.push.apple.com":  apns.Sandbox,
	"feedback.push.apple.com":         apns.Production,
	"feedback.sandbox.push.apple.com": apns.Sandbox,
}

// environmentOf returns the environment of one of Apple's host names.
func environmentOf(serverName string) (apns.Environment, bool) {
	env, ok := hosts[strings.ToLower(serverName)]
	return env, ok
}
