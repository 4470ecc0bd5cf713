package main

import (
	"context"
	"crypto/x509"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/credential"
)

// pushID sends a notification with an apns-id to a sandbox; it has to be accepted.
func pushID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 7 {
		ts.Fatalf("usage: push-id GATEWAY CA SERVERNAME CREDENTIAL TOPIC DEVICETOKEN APNSID")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ts.ReadFile(args[1])))
	id, err := credential.ParseIdentityPEM([]byte(ts.ReadFile(args[3])))
	ts.Check(err)
	presented := id.TLS()
	to, err := apns.ParseDeviceToken(args[5])
	ts.Check(err)
	sender, err := apnsclient.New(apnsclient.Config{
		Environment: apns.Sandbox, Host: args[0], ServerName: args[2], Roots: roots, Certificate: &presented, Timeout: waitLimit,
	})
	ts.Check(err)
	_, err = sender.Push(context.Background(), to, apns.Notification{
		ID: apns.NotificationID(args[6]), Topic: apns.Topic(args[4]), Payload: apns.Payload(`{"aps":{"alert":"hello"}}`),
	})
	ts.Check(sender.Close())
	ts.Check(err)
}
