package conformance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

// HeraldConfig says where a Herald is.
type HeraldConfig struct {
	// API is the platform's. Required.
	API admin.Target
	// Gateways are the addresses by environment; that of Environment is
	// required.
	Gateways map[apns.Environment]string
	// Others are further addresses by name, such as LegacyAddress.
	Others map[string]string
	// Courier is the address of the courier. Required.
	Courier string
	// Environment is the one whose gateway is tested. Required.
	Environment apns.Environment
	// ServerName is what the gateways' certificate is for. Empty means the host
	// of the address.
	ServerName string
	// Roots are trusted. Required.
	Roots *x509.CertPool
	// Needs has what the cases need, as Suite.Requires tells: no other certificates
	// are issued, as a portal issues only so many an hour. Nil means all.
	Needs []string
	// Dial connects. Nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Herald is a running Herald with all that cases need on it: two teams with
// App IDs, keys and certificates of each kind, and devices. Teams and App IDs stay
// when it is closed and are used again; the rest is revoked, and what an
// earlier run left behind is revoked at the start. So only one may be at a
// platform at a time.
type Herald struct {
	cfg    HeraldConfig
	target *Target
	teams  [2]apns.TeamID // ours, and the other one

	// What is to be revoked.
	enrolment string
	devices   []apns.DeviceID
	serials   []string
	keys      []apns.KeyID
}

// The teams and App IDs.
const (
	ourTeam    = "Herald Conformance"
	otherTeam  = "Herald Conformance, Stranger"
	ourApp     = apns.Topic("com.example.conformance")
	secondApp  = apns.Topic("com.example.conformance.second")
	ourPass    = apns.Topic("pass.com.example.conformance")
	ourWebsite = apns.Topic("web.com.example.conformance")
	ourMDM     = apns.Topic("com.apple.mgmt.External.c0f0aace-0000-4000-8000-000000000001")
	otherApp   = apns.Topic("com.example.conformance-stranger")
)

// phones is how many devices share the pushes, so that no device gets too many in
// a row.
const phones = 8

// NewHerald makes what cases need on a Herald. Close it.
func NewHerald(ctx context.Context, cfg HeraldConfig) (_ *Herald, err error) {
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	h := &Herald{cfg: cfg, target: &Target{
		Addresses: map[string]string{Gateway: cfg.Gateways[cfg.Environment]}, ServerName: cfg.ServerName, Roots: cfg.Roots, Dial: cfg.Dial,
		Keys: make(map[string]Key), Certificates: make(map[string]tlsCertificate), Values: make(map[string][]string),
		Acts: make(map[string]func(context.Context) error), Deliver: true,
	}}
	for env, address := range cfg.Gateways {
		h.target.Addresses[env.String()] = address
	}
	maps.Copy(h.target.Addresses, cfg.Others)
	defer func() {
		if err != nil {
			err = fmt.Errorf("preparing the platform: %w", errors.Join(err, h.Close(context.WithoutCancel(ctx))))
		}
	}()
	for _, prepare := range []func(context.Context) error{h.prepareTeams, h.tidy, h.prepareKeys, h.prepareCertificates, h.prepareDevices} {
		if err := prepare(ctx); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Target returns the Herald as a target, until Close.
func (h *Herald) Target() *Target { return h.target }

// Close revokes what was made.
func (h *Herald) Close(ctx context.Context) error {
	var errs []error
	if w := h.target.Watched; w != nil {
		errs = append(errs, w.Away(ctx))
	}
	for _, id := range h.keys {
		_, err := admin.RevokeKey.Call(ctx, h.cfg.API, admin.KeyID{ID: id})
		errs = append(errs, err)
	}
	for _, serial := range h.serials {
		_, err := admin.RevokeCertificate.Call(ctx, h.cfg.API, admin.CertificateRevocation{Serial: serial, Reason: portal.ReasonCessationOfOperation})
		errs = append(errs, err)
	}
	for _, id := range h.devices {
		_, err := admin.RevokeDevice.Call(ctx, h.cfg.API, admin.DeviceID{ID: id})
		errs = append(errs, err)
	}
	if h.enrolment != "" {
		_, err := admin.RevokeEnrolment.Call(ctx, h.cfg.API, admin.EnrolmentID{ID: h.enrolment})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// prepareTeams enters teams and App IDs, unless they are there from an earlier
// run.
func (h *Herald) prepareTeams(ctx context.Context) error {
	teams, err := admin.All(ctx, h.cfg.API, admin.ListTeams, "")
	if err != nil {
		return err
	}
	for i, name := range []string{ourTeam, otherTeam} {
		for _, t := range teams {
			if t.Name == name {
				h.teams[i] = t.ID
			}
		}
		if h.teams[i] == "" {
			t, err := admin.CreateTeam.Call(ctx, h.cfg.API, admin.TeamRequest{Name: name})
			if err != nil {
				return err
			}
			h.teams[i] = t.ID
		}
	}
	apps, err := admin.All(ctx, h.cfg.API, admin.ListApps, "")
	if err != nil {
		return err
	}
	there := make(map[apns.Topic]bool)
	for _, a := range apps {
		there[a.BundleID] = true
	}
	for _, app := range []apns.Topic{ourApp, secondApp, ourPass, ourWebsite, ourMDM, otherApp} {
		team := h.teams[0]
		if app == otherApp {
			team = h.teams[1]
		}
		if there[app] {
			continue
		}
		if _, err := admin.RegisterApp.Call(ctx, h.cfg.API, admin.AppRequest{Team: team, BundleID: app, Name: "Conformance"}); err != nil {
			return err
		}
	}
	on := true
	if _, err := admin.SetBroadcast.Call(ctx, h.cfg.API, admin.BroadcastSwitch{BundleID: ourApp, On: &on}); err != nil {
		return err
	}
	v := h.target.Values
	v[Topic], v["second topic"], v["pass topic"] = []string{string(ourApp)}, []string{string(secondApp)}, []string{string(ourPass)}
	v["website topic"], v["mdm topic"], v["other team's topic"] = []string{string(ourWebsite)}, []string{string(ourMDM)}, []string{string(otherApp)}
	return nil
}

// tidy revokes what a run that was cut short has left behind.
func (h *Herald) tidy(ctx context.Context) error {
	keys, err := admin.All(ctx, h.cfg.API, admin.ListKeys, "")
	if err != nil {
		return err
	}
	for _, k := range keys {
		if (k.Team == h.teams[0] || k.Team == h.teams[1]) && k.Revoked.IsZero() {
			if _, err := admin.RevokeKey.Call(ctx, h.cfg.API, admin.KeyID{ID: k.ID}); err != nil {
				return err
			}
		}
	}
	certs, err := admin.All(ctx, h.cfg.API, admin.ListCertificates, "")
	if err != nil {
		return err
	}
	for _, c := range certs {
		switch c.App {
		case ourApp, secondApp, ourPass, ourWebsite, ourMDM, otherApp:
			if !c.Revoked.IsZero() {
				continue
			}
			if _, err := admin.RevokeCertificate.Call(ctx, h.cfg.API, admin.CertificateRevocation{Serial: c.Serial}); err != nil {
				return err
			}
		}
	}
	return nil
}

// other returns the environment that is not tested.
func (h *Herald) other() apns.Environment {
	if h.cfg.Environment == apns.Sandbox {
		return apns.Production
	}
	return apns.Sandbox
}

// prepareKeys makes keys of each scope.
func (h *Herald) prepareKeys(ctx context.Context) error {
	here, elsewhere := h.cfg.Environment, h.other()
	topics := func(t ...apns.Topic) []apns.Topic { return t }
	for _, k := range []struct {
		name string
		spec portal.KeySpec
	}{
		// Team keys are few: one of all environments and one of each is all.
		{"revoked key", portal.KeySpec{Environment: here}},
		{TeamKey, portal.KeySpec{}},
		{"second team key", portal.KeySpec{Environment: here}},
		{"key of the other environment", portal.KeySpec{Environment: elsewhere}},
		{"topic key", portal.KeySpec{Scope: portal.ScopeTopic, Environment: here, Topics: topics(ourApp)}},
		{"related key", portal.KeySpec{Scope: portal.ScopeTopic, Environment: here, Topics: topics(ourApp, secondApp)}},
		{"unrelated key", portal.KeySpec{Scope: portal.ScopeTopic, Environment: here, Topics: topics(ourApp, secondApp)}},
		{"topic key of another app", portal.KeySpec{Scope: portal.ScopeTopic, Environment: here, Topics: topics(secondApp)}},
		{"topic key of the other environment", portal.KeySpec{Scope: portal.ScopeTopic, Environment: elsewhere, Topics: topics(ourApp)}},
		{"key to be revoked", portal.KeySpec{Scope: portal.ScopeTopic, Environment: here, Topics: topics(ourApp)}},
		{"other team's key", portal.KeySpec{Team: h.teams[1]}},
	} {
		if k.spec.Team == "" {
			k.spec.Team = h.teams[0]
		}
		if k.name == "related key" {
			k.spec.Related = h.target.Keys["topic key"].ID
		}
		k.spec.Name = k.name
		made, err := admin.CreateKey.Call(ctx, h.cfg.API, k.spec)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		h.keys = append(h.keys, made.Key.ID)
		private, err := credential.ParseP8([]byte(made.P8))
		if err != nil {
			return err
		}
		h.target.Keys[k.name] = Key{Team: k.spec.Team, ID: made.Key.ID, Private: private}
		if k.name == "revoked key" {
			if err := h.revokeKey(ctx, made.Key.ID); err != nil {
				return err
			}
		}
	}
	h.target.Acts["revoke the key"] = func(ctx context.Context) error {
		return h.revokeKey(ctx, h.target.Keys["key to be revoked"].ID)
	}
	return nil
}

func (h *Herald) revokeKey(ctx context.Context, id apns.KeyID) error {
	_, err := admin.RevokeKey.Call(ctx, h.cfg.API, admin.KeyID{ID: id})
	return err
}

// prepareCertificates has certificates of each kind issued.
func (h *Herald) prepareCertificates(ctx context.Context) error {
	for _, c := range []struct {
		names []string
		app   apns.Topic
		kind  credential.PushKind
		at    apns.Environment // 0 for both
	}{
		{[]string{"revoked certificate"}, ourApp, credential.PushComplication, 0},
		{[]string{"certificate to be revoked"}, ourApp, credential.PushUniversal, 0},
		{[]string{Certificate, SeveralTopics}, ourApp, credential.PushUniversal, 0},
		{[]string{"sandbox certificate"}, ourApp, credential.PushSandbox, apns.Sandbox},
		{[]string{"voip certificate"}, ourApp, credential.PushVoIP, 0},
		{[]string{"complication certificate"}, ourApp, credential.PushComplication, 0},
		{[]string{"pass certificate"}, ourPass, credential.PushPass, apns.Production},
		{[]string{"website certificate"}, ourWebsite, credential.PushWebsite, apns.Production},
		{[]string{"mdm certificate"}, ourMDM, credential.PushMDM, apns.Production},
		{[]string{"certificate of another app"}, secondApp, credential.PushUniversal, 0},
		{[]string{"other team's certificate"}, otherApp, credential.PushUniversal, 0},
	} {
		if c.at == h.other() {
			c.names = append(c.names, "certificate of the other environment")
		}
		if c.at == h.cfg.Environment && c.kind == credential.PushPass {
			c.names = append(c.names, OneTopic)
		}
		if !slices.ContainsFunc(c.names, h.isNeeded) {
			continue
		}
		key, csr, err := newRequest()
		if err != nil {
			return err
		}
		issued, err := admin.IssueCertificate.Call(ctx, h.cfg.API, admin.CertificateRequest{App: c.app, Kind: c.kind, CSR: csr})
		if err != nil {
			return fmt.Errorf("%s: %w", c.names[0], err)
		}
		h.serials = append(h.serials, issued.Serial)
		for _, name := range c.names {
			h.target.Certificates[name] = tlsCertificate{Certificate: [][]byte{issued.DER}, PrivateKey: key}
		}
		switch serial := issued.Serial; c.names[0] {
		case "revoked certificate":
			if err := h.revokeCertificate(ctx, serial); err != nil {
				return err
			}
		case "certificate to be revoked":
			h.target.Acts["revoke the certificate"] = func(ctx context.Context) error { return h.revokeCertificate(ctx, serial) }
		}
	}
	return nil
}

// isNeeded reports whether a case needs what has this name.
func (h *Herald) isNeeded(name string) bool {
	return h.cfg.Needs == nil || slices.Contains(h.cfg.Needs, name) || name == "certificate to be revoked" && slices.Contains(h.cfg.Needs, "revoke the certificate")
}

func (h *Herald) revokeCertificate(ctx context.Context, serial string) error {
	_, err := admin.RevokeCertificate.Call(ctx, h.cfg.API, admin.CertificateRevocation{Serial: serial, Reason: portal.ReasonSuperseded})
	return err
}

// newRequest makes a key, and a certificate signing request with it.
func newRequest() (*ecdsa.PrivateKey, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("making a key: %w", err)
	}
	csr, err := credential.NewRequest(key, credential.RequestSubject{CommonName: "Conformance", Country: "US"})
	if err != nil {
		return nil, "", err
	}
	return key, string(credential.MarshalRequestPEM(csr)), nil
}
