package device

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
)

// memoryVersion is the version of device.json that is written. Version 1, which
// lacks what the user decided, is read too; a file of another is refused.
const memoryVersion = 2

// memoryDocument is device.json.
type memoryDocument struct {
	Version     int              `json:"version"`
	Environment apns.Environment `json:"environment"`
	DeviceID    apns.DeviceID    `json:"device_id"`
	// BaseToken is hex; empty before the first connection.
	BaseToken string        `json:"base_token"`
	Apps      []appDocument `json:"apps"`
	// Permissions is what the user decided about apps.
	Permissions  []permissionDocument  `json:"permissions,omitempty"`
	DoNotDisturb *doNotDisturbDocument `json:"do_not_disturb,omitempty"`
	// Networks is what networks bear, by name.
	Networks map[string]*pulse `json:"networks,omitempty"`
	// Removed is the hashes, in hex, of the topics whose device tokens have
	// ended, which the courier is to be told.
	Removed []string `json:"removed,omitempty"`
	// Received is the history in version 1, the oldest entry first, each in
	// base64. It is in the journal now.
	Received []string `json:"received,omitempty"`
}

// appDocument is a registration in device.json.
type appDocument struct {
	Topic apns.Topic `json:"topic"`
	// Types is the String of NotificationTypes.
	Types string `json:"types"`
	// DeviceToken is hex; empty if the courier gave none yet.
	DeviceToken string `json:"device_token"`
	// Channels is what it is subscribed to.
	Channels []channelDocument `json:"channels,omitempty"`
}

// loadMemory reads device.json, which is for the device with this id.
func (f folder) loadMemory(id apns.DeviceID) (*memory, error) {
	data, err := f.read(memoryFile)
	if err != nil || data == nil {
		return newMemory(), err
	}
	m, owner, err := parseMemory(data, f.environment)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", f.path(memoryFile), err)
	case owner != id && (owner != "" || m.base != ""):
		return nil, fmt.Errorf("%s is of device %q, but %s of %q: put back what belongs together, or move both away and activate anew",
			f.path(memoryFile), owner, identityFile, id)
	}
	return m, nil
}

// saveMemory writes a document that was made under the lock of its memory.
func (f folder) saveMemory(doc memoryDocument) error {
	data, err := json.MarshalIndent(doc, "", "\t")
	if err != nil {
		return fmt.Errorf("writing %s: %w", memoryFile, err)
	}
	return f.write(memoryFile, append(data, '\n'))
}

// document returns m as it is now.
func (m *memory) document(e apns.Environment, id apns.DeviceID) memoryDocument {
	doc := memoryDocument{
		Version: memoryVersion, Environment: e, DeviceID: id, BaseToken: m.base.Hex(),
		Apps: []appDocument{},
	}
	for _, h := range m.topics() {
		a := m.apps[h]
		doc.Apps = append(doc.Apps, appDocument{
			Topic: a.topic, Types: a.types.String(), DeviceToken: a.token.Hex(), Channels: a.channelDocuments(),
		})
	}
	doc.Permissions, doc.DoNotDisturb = m.permissionDocuments()
	doc.Networks = make(map[string]*pulse, len(m.networks))
	for name, p := range m.networks {
		doc.Networks[name] = new(*p)
	}
	for h := range m.removed {
		doc.Removed = append(doc.Removed, hex.EncodeToString(h[:]))
	}
	slices.Sort(doc.Removed)
	return doc
}

// parseMemory reads device.json, and whose it is. The error says what is wrong
// with it.
func parseMemory(data []byte, e apns.Environment) (*memory, apns.DeviceID, error) {
	var doc memoryDocument
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err != nil {
		return nil, "", fmt.Errorf("damaged: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, "", errors.New("damaged: something comes after the end")
	}
	switch {
	case doc.Version < 1 || doc.Version > memoryVersion:
		return nil, "", fmt.Errorf("version %d: this program reads versions up to %d", doc.Version, memoryVersion)
	case doc.Environment != e:
		return nil, "", fmt.Errorf("the device is of environment %v, not %v: give each environment a folder of its own", doc.Environment, e)
	case len(doc.Apps) > MaxTopics || len(doc.Permissions) > MaxTopics:
		return nil, "", fmt.Errorf("damaged: %d apps and %d permissions, at most %d are possible", len(doc.Apps), len(doc.Permissions), MaxTopics)
	}
	m := newMemory()
	base, err := parseOpaque(doc.BaseToken)
	if err != nil {
		return nil, "", fmt.Errorf("damaged: base token: %w", err)
	}
	m.base = apns.BaseToken(base)
	for _, d := range doc.Apps {
		if err := m.restore(d); err != nil {
			return nil, "", fmt.Errorf("damaged: app %.80q: %w", string(d.Topic), err)
		}
	}
	if err := m.restorePermissions(doc.Permissions, doc.DoNotDisturb); err != nil {
		return nil, "", fmt.Errorf("damaged: %w", err)
	}
	for name, p := range doc.Networks {
		if p == nil || len(m.networks) >= maxNetworks || !p.valid() {
			return nil, "", fmt.Errorf("damaged: network %.80q", name)
		}
		m.networks[name] = p
	}
	for _, s := range doc.Removed[:min(len(doc.Removed), MaxTopics)] {
		h, err := hex.DecodeString(s)
		if err != nil || len(h) != len(hash{}) {
			return nil, "", errors.New("damaged: removed: not a topic hash in hex")
		}
		m.remove(hash(h))
	}
	for _, s := range doc.Received[max(0, len(doc.Received)-historyEntries):] {
		b, err := base64.RawStdEncoding.DecodeString(s)
		if err != nil || len(b) != entryBytes {
			return nil, "", errors.New("damaged: received: an entry is no base64, or has the wrong size")
		}
		m.journal.history.add(historyEntry(b), time.Now())
	}
	return m, doc.DeviceID, nil
}

// restore adds a registration as it was written.
func (m *memory) restore(d appDocument) error {
	if !d.Topic.Valid() {
		return errors.New("not a topic")
	}
	types, err := ParseNotificationTypes(d.Types)
	if err != nil {
		return err
	}
	t, err := parseOpaque(d.DeviceToken)
	if err != nil {
		return fmt.Errorf("device token: %w", err)
	}
	// No one is to be told until the app registers again.
	a := &app{topic: d.Topic, types: types, token: apns.DeviceToken(t), told: true}
	m.apps[d.Topic.Hash()] = a
	return a.restoreChannels(d.Channels)
}

// parseOpaque reads a token of the courier protocol as hex; it may be empty.
func parseOpaque(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	t, err := apns.ParseDeviceToken(s)
	if err == nil && len(t) != apns.CourierTokenBytes {
		err = fmt.Errorf("%d bytes, want %d", len(t), apns.CourierTokenBytes)
	}
	return string(t), err
}
