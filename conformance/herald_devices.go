package conformance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

// tlsCertificate is short for what TLS presents.
type tlsCertificate = tls.Certificate

// codeSeconds is for how long the enrolment code is good.
const codeSeconds = 600

// suffixed are the push types that have device tokens of their own.
var suffixed = []apns.PushType{
	apns.PushTypeVoIP, apns.PushTypeComplication, apns.PushTypeLocation, apns.PushTypeFileProvider, apns.PushTypeLiveActivity,
	apns.PushTypePushToTalk, apns.PushTypeWidgets, apns.PushTypeControls,
}

// prepareDevices activates devices and has the courier give them device tokens.
func (h *Herald) prepareDevices(ctx context.Context) error {
	code, err := admin.CreateEnrolment.Call(ctx, h.cfg.API, admin.EnrolmentRequest{Uses: -1, ValidSeconds: codeSeconds})
	if err != nil {
		return err
	}
	h.enrolment = code.Enrolment.ID
	for range phones {
		if err := h.preparePhone(ctx, code.Code); err != nil {
			return err
		}
	}
	if err := h.prepareGone(ctx, code.Code); err != nil {
		return err
	}
	id, err := h.activate(ctx, code.Code)
	if err != nil {
		return err
	}
	d, err := h.connectHandset(ctx, id, h.cfg.Environment)
	if err != nil {
		return err
	}
	defer d.close()
	tokens, err := d.deviceTokens(ourApp)
	if err != nil {
		return err
	}
	h.target.Values[WatchedDeviceToken] = []string{tokens[0].Hex()}
	h.target.Watched = &watched{herald: h, id: id, topic: ourApp, arrived: make(chan string, maxArrived), answered: make(chan struct{}, 1)}
	h.target.Certificates["certificate of a device"] = id.TLS()
	return nil
}

// activate gives a device its certificate.
func (h *Herald) activate(ctx context.Context, code string) (credential.Identity, error) {
	key, csr, err := newRequest()
	if err != nil {
		return credential.Identity{}, err
	}
	made, err := admin.ActivateDevice.Call(ctx, h.cfg.API, admin.DeviceRequest{EnrolmentCode: code, CSR: csr})
	if err != nil {
		return credential.Identity{}, err
	}
	h.devices = append(h.devices, made.Device.Device)
	id := credential.Identity{Key: key}
	for rest := []byte(made.ChainPEM); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return id, err
		}
		if id.Certificate == nil {
			id.Certificate = cert
		} else {
			id.Chain = append(id.Chain, cert)
		}
	}
	if id.Certificate == nil {
		return id, errors.New("the platform gives a device no certificate")
	}
	return id, nil
}

// preparePhone adds the device tokens of one more device, which then stays away.
func (h *Herald) preparePhone(ctx context.Context, code string) error {
	id, err := h.activate(ctx, code)
	if err != nil {
		return err
	}
	names := []string{DeviceToken, "second app's device token", "pass device token", "other team's device token"}
	topics := []apns.Topic{ourApp, secondApp, ourPass, otherApp}
	for _, p := range suffixed {
		names, topics = append(names, string(p)+" device token"), append(topics, ourApp+apns.Topic(p.Suffix()))
	}
	if err := h.addDeviceTokens(ctx, id, h.cfg.Environment, names, topics); err != nil {
		return err
	}
	names, topics = []string{"device token of the other environment"}, []apns.Topic{ourApp}
	if h.other() == apns.Production && h.cfg.Gateways[apns.Production] != "" || h.cfg.Environment == apns.Production {
		if err := h.addDeviceTokens(ctx, id, apns.Production,
			[]string{"pass device token of production", "website device token of production", "mdm device token of production", "device token of production"},
			[]apns.Topic{ourPass, ourWebsite, ourMDM, ourApp}); err != nil {
			return err
		}
	}
	return h.addDeviceTokens(ctx, id, h.other(), names, topics)
}

// addDeviceTokens asks the courier for device tokens and adds them under names.
func (h *Herald) addDeviceTokens(ctx context.Context, id credential.Identity, env apns.Environment, names []string, topics []apns.Topic) error {
	d, err := h.connectHandset(ctx, id, env)
	if err != nil {
		return err
	}
	defer d.close()
	tokens, err := d.deviceTokens(topics...)
	if err != nil {
		return err
	}
	for i, name := range names {
		h.target.Values[name] = append(h.target.Values[name], tokens[i].Hex())
	}
	if env == h.cfg.Environment {
		h.target.Values["base token"] = append(h.target.Values["base token"], d.base.Hex())
	}
	return nil
}

// goneTimeout bounds the removal of an app.
const goneTimeout = 10 * time.Second

// prepareGone activates a device, and removes apps from it: one for good, and
// one that is installed again and so has a newer device token.
func (h *Herald) prepareGone(ctx context.Context, code string) error {
	id, err := h.activate(ctx, code)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, goneTimeout)
	defer cancel()
	d, err := h.connectHandset(ctx, id, h.cfg.Environment)
	if err != nil {
		return err
	}
	defer d.close()
	voip := ourApp + apns.Topic(apns.PushTypeVoIP.Suffix())
	apps := []apns.Topic{ourApp, secondApp, voip}
	names := []string{"removed app's device token", "former device token", "removed app's voip device token"}
	tokens, err := d.deviceTokens(apps...)
	if err != nil {
		return err
	}
	if err := d.want(apps...); err != nil {
		return err
	}
	for i, app := range apps {
		if err := h.remove(ctx, d, app, tokens[i]); err != nil {
			return fmt.Errorf("removing %s from a device: %w", app, err)
		}
		h.target.Values[names[i]] = []string{tokens[i].Hex()}
	}
	newer, err := d.deviceTokens(secondApp)
	if err != nil {
		return err
	}
	h.target.Values["newer device token"] = []string{newer[0].Hex()}
	return nil
}

// remove has a device answer a push as one that does not have the app: that is
// how the service learns of it (docs/protocol/courier.md#ack).
func (h *Herald) remove(ctx context.Context, d *handset, app apns.Topic, token apns.DeviceToken) error {
	t := h.target
	m, err := newMint(t)
	if err != nil {
		return err
	}
	r := &runner{cfg: Config{Target: t}, mint: m}
	push := &Step{Path: devicePath + token.Hex(), Set: map[string]string{"apns-topic": string(app)}, Want: accepted}
	c := &Case{By: []string{byToken}, Steps: []Step{*push}}
	once := func(want string) error {
		c.Steps[0].Want = want
		tr := &trial{runner: r, c: c, maker: &maker{values: newValues(t, 0), mint: m, mode: byToken}}
		defer tr.close()
		return tr.run(ctx)
	}
	if err := once(accepted); err != nil {
		return err
	}
	f, err := d.await(wire.CommandNotification)
	if err != nil {
		return err
	}
	n, err := wire.ParseNotification(f.Payload)
	if err != nil {
		return err
	}
	if err := d.ack(n, wire.AckNotOurs); err != nil {
		return err
	}
	// The courier has dealt with it when it answers what comes after.
	if err := d.write(wire.KeepAlive{Interval: time.Minute}.Append(nil)); err != nil {
		return err
	}
	if _, err := d.await(wire.CommandKeepAliveResponse); err != nil {
		return err
	}
	return once(string(apns.Unregistered))
}
