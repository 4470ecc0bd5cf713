package credential

import (
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Text renders r for a terminal: a line that says what the file is, the facts
// of each object, then problems with their hints, and what to do next. It ends
// with a line end.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", r.Name, r.Kind)
	if r.Format != "" && r.Format != "PKCS#12" {
		fmt.Fprintf(&b, " (%s)", r.Format)
	}
	b.WriteString("\n")
	if len(r.Encryption) > 0 {
		fmt.Fprintf(&b, "Encrypted with %s\n", strings.Join(r.Encryption, ", "))
	}
	for _, o := range r.Objects {
		b.WriteString("\n")
		o.text(&b, len(r.Objects) > 1)
	}
	if len(r.Identities) > 1 {
		b.WriteString("\nIdentities\n")
		for _, i := range r.Identities {
			fmt.Fprintf(&b, "  %d  %s, expires %s\n", i.Number, i.Name, dateText(i.NotAfter))
		}
	}
	if len(r.Problems) > 0 {
		b.WriteString("\n")
	}
	for _, p := range r.Problems {
		b.WriteString(p.Text())
	}
	if r.Next != "" && firstError(r.Problems) == nil { // else the hint has said it
		fmt.Fprintf(&b, "\nNext: %s\n", r.Next)
	}
	return b.String()
}

// Text renders p for a terminal, with its hint on a line of its own.
func (p Problem) Text() string {
	s := string(p.Code) + "  " + p.Message + "\n"
	if p.Hint != "" {
		s += "  Hint: " + p.Hint + "\n"
	}
	return s
}

// text writes the facts of o, a line each.
func (o Object) text(b *strings.Builder, numbered bool) {
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(b, "%-12s %s\n", label, value)
		}
	}
	title := strings.ToUpper(string(o.Kind[:1])) + string(o.Kind[1:])
	if numbered {
		title = fmt.Sprintf("%d. %s", o.Number, title)
	}
	if o.Name != "" {
		title += ": " + o.Name
	}
	b.WriteString(title + "\n")
	if o.PushKind != "" {
		kind := string(o.PushKind)
		if where := environmentList(o.Environments); where != kind {
			kind += " (" + where + ")"
		}
		line("Kind", kind)
		topics := shortTopics(o.Topics)
		if len(o.Topics) > 1 {
			topics += " (apns-topic is required)"
		}
		line("Topics", topics)
	}
	line("Team", printable(string(o.TeamID)))
	line("Device", string(o.DeviceID))
	line("Hosts", strings.Join(o.Hosts, ", "))
	if p := o.Profile; p != nil {
		p.text(line)
	}
	line("Key ID", string(o.KeyID))
	line("Subject", o.Subject)
	line("Issuer", o.Issuer)
	line("Serial", o.Serial)
	line("SHA-256", o.Fingerprint)
	line("Signed with", o.Signature)
	switch isKey := o.Kind == KindPrivateKey || o.Kind == KindProviderKey; {
	case o.Key != nil:
		line("Key", o.Key.Algorithm+", SHA-256 "+o.Key.Fingerprint)
	case isKey:
		line("Key", "locked")
	}
	line("Encryption", o.Encryption)
	if len(o.SameKey) > 0 {
		line("Matches", strings.Trim(strings.ReplaceAll(fmt.Sprint(o.SameKey), " ", ", "), "[]"))
	}
	if o.Validity != nil {
		line("Valid", o.Validity.String())
	}
	if o.Kind == KindRevocationList {
		line("Revoked", count(o.Revoked, "certificate", "certificates"))
	}
}

// text writes the facts of a profile that no other object has.
func (p *ProvisioningProfile) text(line func(label, value string)) {
	line("Team name", printable(p.TeamName))
	line("App ID", printable(p.AppID))
	if p.PushEnvironment != 0 {
		line("Push", p.PushEnvironment.String())
	} else {
		line("Push", "none (no aps-environment)")
	}
	line("UUID", printable(p.UUID))
	devices := count(p.Devices, "device", "devices")
	if p.AllDevices {
		devices = "all devices"
	}
	line("For", devices+", "+count(p.Certificates, "developer", "developers"))
}

// String says from when until when, and how many days are left.
func (v *ValidityFacts) String() string {
	s := "from " + v.NotBefore.Format(time.DateOnly)
	if !v.NotAfter.IsZero() {
		s = v.NotBefore.Format(time.DateOnly) + " to " + v.NotAfter.Format(time.DateOnly)
	}
	switch {
	case v.DaysLeft == nil:
	case *v.DaysLeft < 0:
		s += " (expired)"
	default:
		s += fmt.Sprintf(" (%s left)", count(*v.DaysLeft, "day", "days"))
	}
	return s
}

func environmentList(list []apns.Environment) string {
	words := make([]string, 0, len(list))
	for _, e := range list {
		words = append(words, e.String())
	}
	return strings.Join(words, " and ")
}

// shortTopics writes topics that begin with the first as its suffixes.
func shortTopics(topics []apns.Topic) string {
	words := make([]string, 0, len(topics))
	for n, t := range topics {
		if suffix, ok := strings.CutPrefix(string(t), string(topics[0])+"."); ok && n > 0 {
			words = append(words, "."+suffix)
			continue
		}
		words = append(words, string(t))
	}
	return strings.Join(words, ", ")
}
