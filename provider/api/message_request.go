package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// messageRequest asks for a message.
type messageRequest struct {
	To      recipientsRequest `json:"to" about:"Whom it is for: exactly one of the fields."`
	Content *contentRequest   `json:"content,omitempty" about:"What it shows, plays and counts. Either this or payload."`
	Payload json.RawMessage   `json:"payload,omitempty" about:"The whole dictionary that goes to the device, kept byte for byte, in place of content."`
	APNS    apnsRequest       `json:"apns,omitzero" about:"How it is delivered."`
	Kind    audience.Kind     `json:"kind,omitempty" about:"The kind of device tokens that it goes to. If it is left out it follows from the push type; a push of the type liveactivity needs it."`
	// Environment is also that of the device tokens which do not say.
	Environment apns.Environment `json:"environment,omitzero" about:"The environment that it goes to. Both if it is left out."`
	Deliver     deliverRequest   `json:"deliver,omitzero" about:"When."`
	Mode        messageMode      `json:"mode,omitempty" about:"send, or validate: everything is checked, also that there is a credential, and nothing is sent."`
}

// messageMode is whether a message is sent.
type messageMode string

const (
	modeSend     messageMode = "send"
	modeValidate messageMode = "validate"
)

// recipientsRequest says whom a message is for.
type recipientsRequest struct {
	DeviceTokens  []addresseeRequest        `json:"device_tokens,omitempty" about:"Device tokens, whether or not they are of installations. At most 10,000."`
	Installations []audience.InstallationID `json:"installations,omitempty" about:"Installations. At most 10,000."`
	People        []map[string]string       `json:"people,omitempty" about:"People, each by one alias, such as {\"external_id\":\"u42\"}: all their installations. At most 10,000."`
	Tag           string                    `json:"tag,omitempty" about:"All installations that have this tag when it is sent."`
	Everybody     bool                      `json:"everybody,omitempty" about:"All installations of the app."`
}

// addresseeRequest is a device token that a message is for.
type addresseeRequest struct {
	Value       string           `json:"value" about:"In hex, or as old apps print it: <740f4707 bebcf74f …>."`
	Environment apns.Environment `json:"environment,omitzero" about:"That of the message if it is left out."`
}

// deliverRequest says when a message is delivered.
type deliverRequest struct {
	At   time.Time `json:"at,omitzero" about:"When it is sent, with a time zone. At once if it is left out."`
	By   string    `json:"by,omitempty" about:"When it is given up: a time, or a duration (ISO 8601) after at or now, such as PT2H. After 24 hours if it is left out."`
	Lane string    `json:"lane,omitempty" about:"urgent, ordinary or campaign. If it is left out, few recipients are urgent, and a tag or everybody is a campaign."`
}

// order returns what a request comes to, at a time. The error is an
// *audience.InvalidError; what depends on the app is left to PushServer.Send.
func (m *messageRequest) order(now time.Time) (provider.Order, error) {
	var faults audience.Faults
	o := provider.Order{To: m.recipients(&faults), Kind: m.Kind, Environment: m.Environment, ValidateOnly: m.Mode == modeValidate}
	if m.Mode != "" && m.Mode != modeSend && m.Mode != modeValidate {
		faults.Add("/mode", audience.Unknown, "send or validate")
	}
	m.deliver(&o, now, &faults)
	m.notification(&o, now, &faults)
	return o, faults.Err()
}

func (m *messageRequest) recipients(faults *audience.Faults) provider.Recipients {
	to := provider.Recipients{Installations: m.To.Installations, Tag: m.To.Tag, Everybody: m.To.Everybody}
	if len(m.To.DeviceTokens) > provider.MaxTargets || len(m.To.People) > provider.MaxTargets {
		faults.Add("/to", audience.TooMany, fmt.Sprintf("at most %d are possible; a larger audience has a tag", provider.MaxTargets))
		return to
	}
	for n, d := range m.To.DeviceTokens {
		to.DeviceTokens = append(to.DeviceTokens, m.addressee(fmt.Sprintf("/to/device_tokens/%d", n), d, faults))
	}
	for n, person := range m.To.People {
		at := fmt.Sprintf("/to/people/%d", n)
		if len(person) != 1 {
			fault(faults, at, audience.Malformed, `a person is named by one alias, such as {"external_id":"u42"}`)
			continue
		}
		for label, id := range person {
			a := audience.Alias{Label: label, ID: id}
			addBelow(faults, at, a.Check())
			to.People = append(to.People, a)
		}
	}
	return to
}

func (m *messageRequest) addressee(at string, d addresseeRequest, faults *audience.Faults) outbox.Addressee {
	a := outbox.Addressee{Environment: cmp.Or(d.Environment, m.Environment)}
	switch {
	case a.Environment == 0:
		fault(faults, at+"/environment", audience.Required, "sandbox or production; environment beside to is for all that do not say")
	case m.Environment != 0 && a.Environment != m.Environment:
		fault(faults, at+"/environment", audience.Conflict, fmt.Sprintf("the message is for %s alone", m.Environment))
	}
	var err error
	if a.DeviceToken, err = apnsclient.ParseDeviceToken(d.Value); err != nil {
		fault(faults, at+"/value", audience.Malformed, strings.TrimPrefix(err.Error(), "device token: "))
	}
	return a
}

func (m *messageRequest) deliver(o *provider.Order, now time.Time, faults *audience.Faults) {
	o.StartAt = m.Deliver.At
	if m.Deliver.By != "" {
		from := now
		if o.StartAt.After(now) {
			from = o.StartAt
		}
		var err error
		if o.Deadline, err = parseWhen(m.Deliver.By, from); err != nil {
			faults.Add("/deliver/by", audience.Malformed, err.Error())
		}
	}
	if m.Deliver.Lane != "" {
		for _, lane := range outbox.Lanes {
			if lane.String() == m.Deliver.Lane {
				o.Lane = &lane
			}
		}
		if o.Lane == nil {
			faults.Add("/deliver/lane", audience.Unknown, "urgent, ordinary or campaign")
		}
	}
}

// fault notes a fault, unless there are very many.
func fault(faults *audience.Faults, at string, code audience.FaultCode, detail string) {
	if len(*faults) < maxFaults {
		faults.Add(at, code, detail)
	}
}

// addBelow notes the faults in an error at a place.
func addBelow(faults *audience.Faults, at string, err error) {
	if invalid, ok := errors.AsType[*audience.InvalidError](err); ok {
		for _, f := range invalid.Faults {
			fault(faults, at+f.Pointer, f.Code, f.Detail)
		}
	}
}

// point returns an error of PushServer.Send with pointers into the request: what is
// said of a payload that was made of content is said of that.
func (m *messageRequest) point(err error) error {
	invalid, ok := errors.AsType[*audience.InvalidError](err)
	if !ok || m.Content == nil {
		return err
	}
	faults := make(audience.Faults, len(invalid.Faults))
	for n, f := range invalid.Faults {
		if f.Pointer == "/payload" {
			f.Pointer = "/content"
			if f.OverBy > 0 && len(m.Content.Body) > f.OverBy {
				f.Pointer = "/content/body" // where cutting helps
			}
		}
		faults[n] = f
	}
	return faults.Err()
}
