package account

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Times between what is noted of a credential in use.
const (
	// ProveEvery is how often it is noted that a credential is still taken.
	ProveEvery = time.Hour
	// recoverAfter is how long after a refusal it is not noted that it was taken, so
	// that gateways that disagree do not cost a write each.
	recoverAfter = time.Minute
)

// Answer is what a gateway answered to a notification.
type Answer struct {
	Environment apns.Environment
	Topic       apns.Topic
	At          time.Time
	// Err is nil for one that was accepted. What says something else than an
	// *apns.Rejection says nothing of the credential.
	Err error
}

// Verdict is what an answer says of the credential.
type Verdict uint8

// The verdicts.
const (
	// Unclear: nothing. There was no answer, or it was about something else that is
	// looked at before or beside the credential.
	Unclear Verdict = iota
	// Taken: it is good for the topic in the environment.
	Taken
	// Refused: it is not.
	Refused
)

// String returns "unclear", "taken" or "refused".
func (v Verdict) String() string {
	switch v {
	case Taken:
		return "taken"
	case Refused:
		return "refused"
	default:
		return "unclear"
	}
}

// Judge returns what an answer says of c, with the reason if it is Refused.
func (c *Credential) Judge(a Answer) (Verdict, apns.Reason) {
	if a.Err == nil {
		return Taken, ""
	}
	r, ok := errors.AsType[*apns.Rejection](a.Err)
	if !ok {
		return Unclear, ""
	}
	switch r.Reason {
	case apns.BadDeviceToken, apns.Unregistered, apns.ExpiredToken:
		return Taken, "" // device tokens are looked up for who may send to the topic
	case apns.BadCertificate, apns.BadCertificateEnvironment, apns.Forbidden, apns.InvalidProviderToken,
		apns.UnrelatedKeyIDInToken, apns.BadEnvironmentKeyInToken:
		return Refused, r.Reason
	case apns.TopicDisallowed, apns.BadTopic:
		// A topic with a suffix may just not be enabled for the app; a certificate
		// that lists it says that it is.
		if a.Topic == a.Topic.BundleID() || slices.Contains(c.Topics, a.Topic) {
			return Refused, r.Reason
		}
		return Unclear, ""
	default:
		return Unclear, ""
	}
}

// After returns what c comes to by an answer, and whether that is worth storing.
func (c *Credential) After(a Answer) (Credential, bool) {
	s := c.Standing(a.Environment)
	switch verdict, reason := c.Judge(a); {
	case verdict == Taken && s.Proven() && a.At.Sub(s.ProvenAt) < ProveEvery,
		verdict == Taken && s.Reason != "" && a.At.Sub(s.RefusedAt) < recoverAfter,
		verdict == Refused && s.Reason == reason && a.At.Sub(s.RefusedAt) < ProveEvery,
		verdict == Unclear, !slices.Contains(c.Environments, a.Environment):
		return *c, false
	case verdict == Taken:
		s = Standing{Environment: a.Environment, ProvenAt: a.At.UTC().Round(0)}
	default:
		s.Reason, s.RefusedAt = reason, a.At.UTC().Round(0)
	}
	d := c.clone()
	d.Standings = slices.DeleteFunc(d.Standings, func(old Standing) bool { return old.Environment == a.Environment })
	d.Standings = append(d.Standings, s)
	slices.SortFunc(d.Standings, func(a, b Standing) int { return cmp.Compare(a.Environment, b.Environment) })
	return d, true
}

// class orders credentials for use: those that are proven, those of which nothing
// is known, and those that were refused, in the hope that they are not any more.
func (s Standing) class() int {
	switch {
	case s.Reason != "":
		return 2
	case s.ProvenAt.IsZero():
		return 1
	}
	return 0
}

// Choose returns those of an app's credentials that a notification may go out
// with, the one to use first. One that is proven goes before one that is not, so
// that what is new and wrong does no harm; then the newer one first.
func Choose(all []Credential, e apns.Environment, t apns.Topic, at time.Time) []Credential {
	var fit []Credential
	for _, c := range all {
		if c.Valid(at) && c.Reaches(e, t) {
			fit = append(fit, c)
		}
	}
	slices.SortFunc(fit, func(a, b Credential) int {
		return cmp.Or(
			cmp.Compare(a.Standing(e).class(), b.Standing(e).class()),
			b.CreatedAt.Compare(a.CreatedAt),
			strings.Compare(string(a.ID), string(b.ID)),
		)
	})
	return fit
}

// Needed reports whether nothing but c could do what it does now: in one of its
// environments it is proven, and none of the others is, for all its topics.
func (c *Credential) Needed(others []Credential, at time.Time) bool {
	return c.Valid(at) && slices.ContainsFunc(c.Environments, func(e apns.Environment) bool {
		return c.Standing(e).Proven() && !slices.ContainsFunc(others, func(o Credential) bool {
			return o.ID != c.ID && o.Valid(at) && slices.Contains(o.Environments, e) && o.Standing(e).Proven() && o.covers(c)
		})
	})
}

// mayReplace reports whether c is for all that another is for.
func (c *Credential) mayReplace(old *Credential) bool {
	return c.covers(old) && !slices.ContainsFunc(old.Environments, func(e apns.Environment) bool { return !slices.Contains(c.Environments, e) })
}

// replaces reports whether c is proven wherever another is used.
func (c *Credential) replaces(old *Credential) bool {
	return c.Replaces == old.ID && c.mayReplace(old) &&
		!slices.ContainsFunc(old.Environments, func(e apns.Environment) bool { return !c.Standing(e).Proven() })
}
