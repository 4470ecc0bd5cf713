package main

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/credential"
)

// providerToken checks that a file is a provider token and a line end, and that
// a key signed it just now.
func providerToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: provider-token FILE KEYFILE KEYID TEAMID")
	}
	line, ok := strings.CutSuffix(ts.ReadFile(args[0]), "\n")
	if !ok || strings.ContainsAny(line, " \r\n") {
		ts.Fatalf("%s is not one word and a line end", args[0])
	}
	got, err := credential.ParseProviderToken(line)
	ts.Check(err)
	key, err := credential.ParseP8([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(got.Verify(&key.PublicKey))
	if got.KeyID != apns.KeyID(args[2]) || got.TeamID != apns.TeamID(args[3]) {
		ts.Fatalf("got key ID %s and team ID %s, want %s and %s", got.KeyID, got.TeamID, args[2], args[3])
	}
	if age := time.Since(got.IssuedAt); age < -time.Second || age > time.Minute {
		ts.Fatalf("it was issued %v ago", age)
	}
}

// silentPort sets a variable to an address that takes connections and says
// nothing on them.
func silentPort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: silent-port NAME")
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() }) // nobody accepts: the system does
	ts.Setenv(args[0], l.Addr().String())
}

// push sends a notification, and checks the reason for which it is refused.
func push(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 7 {
		ts.Fatalf("usage: push GATEWAY CA SERVERNAME CREDENTIAL TOPIC DEVICETOKEN REASON")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ts.ReadFile(args[1])))
	id, err := credential.ParseIdentityPEM([]byte(ts.ReadFile(args[3])))
	ts.Check(err)
	presented := id.TLS()
	to, err := apns.ParseDeviceToken(args[5])
	ts.Check(err)
	sender, err := apnsclient.New(apnsclient.Config{
		Environment: apns.Production, Host: args[0], ServerName: args[2], Roots: roots, Certificate: &presented, Timeout: waitLimit,
	})
	ts.Check(err)
	_, err = sender.Push(context.Background(), to, apns.Notification{Topic: apns.Topic(args[4]), Payload: apns.Payload(`{"aps":{"alert":"hello"}}`)})
	ts.Check(sender.Close())
	refused, ok := errors.AsType[*apns.Rejection](err)
	if !ok || string(refused.Reason) != args[6] {
		ts.Fatalf("got %v, want %s", err, args[6])
	}
}
