package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/conformance"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/platform/dev"
)

// devTarget prepares a running `herald dev`.
func (c conformanceCmd) devTarget(ctx context.Context, needs []string) (*conformance.Target, func(context.Context) error, error) {
	if c.Cert != "" || c.Key != "" || c.DeviceToken != "" || c.Topic != "" || c.CA != "" || len(c.With) > 0 {
		return nil, nil, usageError("--dev makes all that cases need: it takes none of --ca, --cert, --key, --topic, --device-token and --with")
	}
	v, err := readDevValues(c.Dev)
	if err != nil {
		return nil, nil, err
	}
	roots, err := readRoots(v[dev.KeyCA])
	if err != nil {
		return nil, nil, err
	}
	at, err := admin.Remote(admin.RemoteConfig{URL: v[dev.KeyHTTP], Key: v[dev.KeyAPIKey], ThisMachine: true})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", c.Dev, err)
	}
	cfg := conformance.HeraldConfig{
		API: at, Courier: v[dev.KeyCourier], Environment: c.Env, ServerName: v[dev.KeyServerName], Roots: roots, Needs: needs,
		Gateways: map[apns.Environment]string{apns.Sandbox: v[dev.KeyGatewaySandbox], apns.Production: v[dev.KeyGatewayProduction]},
		Others:   make(map[string]string),
	}
	if cfg.Environment == 0 {
		cfg.Environment = apns.Sandbox
	}
	for _, name := range []string{conformance.LegacyAddress, conformance.FeedbackAddress, conformance.ChannelsAddress} {
		if a := v[dev.Key(name+"."+cfg.Environment.String())]; a != "" {
			cfg.Others[name] = a
		}
	}
	h, err := conformance.NewHerald(ctx, cfg)
	if err != nil {
		if _, ok := errors.AsType[*admin.UnreachableError](err); ok {
			err = &statusError{err, exitRefused}
		}
		return nil, nil, withRemedy(err)
	}
	return h.Target(), h.Close, nil
}

// readDevValues reads dev.json of a folder, or by its own path.
func readDevValues(path string) (dev.Values, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "dev.json")
	}
	in, err := readInput(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(err, "herald dev --dir DIR writes it, and removes it at its end.")
	}
	if err != nil {
		return nil, err
	}
	var v dev.Values
	if err := json.Unmarshal(in.Data, &v); err != nil {
		return nil, unreadable(fmt.Errorf("%s is not a dev.json: %w", plain(path), err))
	}
	for _, key := range []dev.Key{dev.KeyHTTP, dev.KeyAPIKey, dev.KeyCourier, dev.KeyGatewaySandbox, dev.KeyGatewayProduction, dev.KeyCA} {
		if v[key] == "" {
			return nil, unreadable(fmt.Errorf("%s has no %q", plain(path), key))
		}
	}
	return v, nil
}

// anyTarget is a gateway of which no more is known than the flags tell.
func (c conformanceCmd) anyTarget(ctx context.Context) (*conformance.Target, error) {
	host, _, err := net.SplitHostPort(c.Target)
	if err != nil {
		return nil, usageError("--target %s: want HOST:PORT", plain(c.Target))
	}
	if strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".push.apple.com") && c.Env == 0 {
		return nil, usageError("%s is Apple's: --env sandbox or --env production confirms that it may be asked", plain(host))
	}
	t := &conformance.Target{
		Addresses: map[string]string{conformance.Gateway: c.Target}, ServerName: c.ServerName, Deliver: c.Deliver,
		Keys: make(map[string]conformance.Key), Certificates: make(map[string]tls.Certificate), Values: make(map[string][]string),
	}
	if c.Env != 0 {
		t.Addresses[c.Env.String()] = c.Target
	}
	if t.Roots, err = readRoots(c.CA); err != nil {
		return nil, err
	}
	if err := errors.Join(c.addKey(t), c.addCertificate(ctx, t)); err != nil {
		return nil, err
	}
	if c.Topic != "" {
		t.Values[conformance.Topic] = []string{string(c.Topic)}
	}
	return t, c.addValues(t)
}

// addKey adds the provider key to a target.
func (c conformanceCmd) addKey(t *conformance.Target) error {
	if c.Key == "" {
		return nil
	}
	in, err := readInput(c.Key)
	if err != nil {
		return err
	}
	private, err := credential.ParseP8(in.Data)
	if err != nil {
		return unreadable(fmt.Errorf("--key %s: %w", plain(c.Key), err))
	}
	id := c.KeyID
	if id == "" {
		id = credential.KeyIDFromFileName(filepath.Base(c.Key))
	}
	if id == "" || c.Team == "" {
		return usageError("--key needs --key-id and --team")
	}
	t.Keys[conformance.TeamKey] = conformance.Key{Team: c.Team, ID: id, Private: private}
	return nil
}

// addCertificate adds the push certificate to a target.
func (c conformanceCmd) addCertificate(ctx context.Context, t *conformance.Target) error {
	if c.Cert == "" {
		return nil
	}
	in, err := readInput(c.Cert)
	if err != nil {
		return err
	}
	id, _, err := credential.Assemble(in.File, credential.File{}, credential.AssembleOptions{Password: c.open(ctx).ask, Topic: c.Topic, Environment: c.Env})
	if err != nil {
		return asProblem(err)
	}
	push, err := credential.ParsePushCertificate(id.Certificate)
	if err != nil {
		return unreadable(fmt.Errorf("--cert %s: %w", plain(c.Cert), err))
	}
	t.Certificates[conformance.Certificate] = id.TLS()
	kind := conformance.SeveralTopics
	if len(push.Topics) == 1 {
		kind = conformance.OneTopic
	}
	t.Certificates[kind] = id.TLS()
	t.Values[conformance.Topic] = []string{string(push.Topics[0])}
	return nil
}

// addValues adds topics, device tokens and addresses to a target.
func (c conformanceCmd) addValues(t *conformance.Target) error {
	if c.DeviceToken != "" {
		if _, err := hex.DecodeString(c.DeviceToken); err != nil {
			return usageError("--device-token is not hex")
		}
		t.Values[conformance.DeviceToken] = []string{c.DeviceToken}
	}
	for _, pair := range c.With {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" || value == "" {
			return usageError("--with %s: want NAME=VALUE", plain(pair))
		}
		switch name {
		case conformance.LegacyAddress, conformance.FeedbackAddress, conformance.ChannelsAddress:
			t.Addresses[name] = value
		default:
			t.Values[name] = append(t.Values[name], value)
		}
	}
	return nil
}
