package conformance

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

// handset is a device at a courier that says what a case needs it to say, where
// the agent of package device would say what is right.
type handset struct {
	conn   *tls.Conn
	reader *bufio.Reader
	stop   func() bool
	base   apns.BaseToken
}

// courierNames tell the environment (docs/protocol/courier.md#names).
var courierNames = map[apns.Environment]string{
	apns.Sandbox: "courier.sandbox.push.apple.com", apns.Production: "courier.push.apple.com",
}

// connectHandset connects a device; the end of ctx ends the connection.
func (h *Herald) connectHandset(ctx context.Context, id credential.Identity, env apns.Environment) (*handset, error) {
	raw, err := h.cfg.Dial(ctx, "tcp", h.cfg.Courier)
	if err != nil {
		return nil, &UnreachableError{Address: h.cfg.Courier, Err: err}
	}
	conn := tls.Client(raw, &tls.Config{
		ServerName: courierNames[env], RootCAs: h.cfg.Roots, NextProtos: []string{wire.ALPNHerald}, MinVersion: tls.VersionTLS12,
	})
	d := &handset{conn: conn, reader: bufio.NewReader(conn), stop: context.AfterFunc(ctx, func() { _ = raw.Close() })}
	if err := d.greet(ctx, id); err != nil {
		d.close()
		return nil, fmt.Errorf("connecting a device to %s: %w", h.cfg.Courier, err)
	}
	return d, nil
}

// greet says who the device is, and is accepted.
func (d *handset) greet(ctx context.Context, id credential.Identity) error {
	if err := d.conn.HandshakeContext(ctx); err != nil {
		return err
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	hello := wire.Connect{
		State: wire.StateOnline, Flags: 0x41, Interface: wire.InterfaceWiFi, HasInterface: true, Carrier: "WiFi", ProtocolVersion: 11,
		Nonce: wire.NewNonce(time.Now(), random), Certificates: [][]byte{id.Certificate.Raw},
	}
	for _, cert := range id.Chain {
		hello.Certificates = append(hello.Certificates, cert.Raw)
	}
	var err error
	if hello.Signature, err = hello.Nonce.Sign(id.Key); err != nil {
		return err
	}
	if err := d.write(hello.Append(nil)); err != nil {
		return err
	}
	f, err := d.read()
	if err != nil {
		return err
	}
	ack, err := wire.ParseConnectAck(f.Payload)
	switch {
	case err != nil:
		return err
	case f.Command != wire.CommandConnectAck || ack.Status != wire.StatusAccepted || ack.BaseToken == "":
		return fmt.Errorf("the courier answers Connect with command %d, status %d", f.Command, ack.Status)
	}
	d.base = ack.BaseToken
	return d.write(wire.SetActiveState{State: wire.Active, For: wire.ActiveForever}.Append(nil))
}

func (d *handset) close() {
	d.stop()
	_ = d.conn.NetConn().Close() // nothing is in it that was to arrive
}

func (d *handset) write(b []byte) error {
	_, err := d.conn.Write(b)
	return err
}

func (d *handset) read() (wire.Frame, error) {
	header, err := d.reader.Peek(wire.HeaderBytes)
	if err != nil {
		return wire.Frame{}, err
	}
	if _, _, err = wire.NextFrame(header, wire.MaxPayloadBytes); err != nil && !errors.Is(err, wire.ErrIncomplete) {
		return wire.Frame{}, err
	}
	b := make([]byte, wire.HeaderBytes+binary.BigEndian.Uint32(header[1:]))
	if _, err := io.ReadFull(d.reader, b); err != nil {
		return wire.Frame{}, err
	}
	f, _, err := wire.NextFrame(b, wire.MaxPayloadBytes)
	return f, err
}

// await reads until a frame of a command comes, and passes over others.
func (d *handset) await(c wire.Command) (wire.Frame, error) {
	for {
		f, err := d.read()
		if err != nil || f.Command == c {
			return f, err
		}
	}
}

// want says which topics are wanted: all others wait.
func (d *handset) want(topics ...apns.Topic) error {
	f := wire.Filter{BaseToken: d.base}
	for _, t := range topics {
		f.Enabled = append(f.Enabled, t.Hash())
	}
	return d.write(f.Append(nil))
}

// deviceTokens asks for the device token of each topic.
func (d *handset) deviceTokens(topics ...apns.Topic) ([]apns.DeviceToken, error) {
	var ask []byte
	for _, t := range topics {
		ask = wire.AppToken{TopicHash: t.Hash(), BaseToken: d.base}.Append(ask)
	}
	if err := d.write(ask); err != nil {
		return nil, err
	}
	tokens := make([]apns.DeviceToken, len(topics))
	for range topics {
		f, err := d.await(wire.CommandAppTokenResponse)
		if err != nil {
			return nil, err
		}
		answer, err := wire.ParseAppTokenResponse(f.Payload)
		if err != nil {
			return nil, err
		}
		for i, t := range topics {
			if t.Hash() == answer.TopicHash {
				tokens[i] = answer.DeviceToken
			}
		}
	}
	for i, t := range topics {
		if tokens[i] == "" {
			return nil, fmt.Errorf("the courier gives no device token for %s", t)
		}
	}
	return tokens, nil
}

// ack answers a notification.
func (d *handset) ack(n wire.Notification, status wire.AckStatus) error {
	return d.write(wire.Ack{Status: status, MessageID: n.MessageID, HasMessageID: true}.Append(nil))
}
