package event

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

// The limits of webhooks.
const (
	MaxWebhooks     = 100
	MaxURLBytes     = 2000
	MaxWebhookApps  = 100
	MaxWebhookName  = account.MaxNameBytes
	webhookIDPrefix = "wh_"
)

// WebhookID names a webhook: "wh_" and 20 letters and digits.
type WebhookID string

// WebhookSpec says what webhook is wanted.
type WebhookSpec struct {
	// URL is where events are posted. Required. It is https, or http to the machine
	// itself.
	URL string `json:"url"`
	// Name is for people. It may be empty.
	Name string `json:"name,omitempty"`
	// Kinds are those of the events. None: all.
	Kinds []Kind `json:"kinds,omitempty"`
	// Apps are those that the events are about. None stands for all, and for events
	// of no app.
	Apps []account.AppID `json:"apps,omitempty"`
}

// Webhook is a place where events are posted, without its secret.
type Webhook struct {
	ID WebhookID `json:"id"`
	WebhookSpec
	CreatedAt time.Time `json:"created_at"`
	Progress  Progress  `json:"progress"`
}

// Filter returns the filter of what w wants.
func (w *Webhook) Filter() Filter { return Filter{Apps: w.Apps, Kinds: w.Kinds} }

// check checks a spec, and puts its lists in order.
func (s *WebhookSpec) check(known func(account.AppID) bool, plain bool) error {
	var faults audience.Faults
	checkURL("/url", s.URL, plain, &faults)
	switch {
	case len(s.Name) > MaxWebhookName:
		faults.Add("/name", audience.TooLong, fmt.Sprintf("%d bytes, at most %d are possible", len(s.Name), MaxWebhookName))
	case !utf8.ValidString(s.Name) || strings.ContainsFunc(s.Name, func(c rune) bool { return !unicode.IsPrint(c) }):
		faults.Add("/name", audience.Malformed, "not a text of printable characters")
	}
	if len(s.Kinds) > len(Kinds) {
		faults.Add("/kinds", audience.TooMany, fmt.Sprintf("%d, there are %d kinds", len(s.Kinds), len(Kinds)))
	} else {
		for n, k := range s.Kinds {
			if !k.Known() {
				faults.Add(fmt.Sprint("/kinds/", n), audience.Unknown, "no kind of event, such as "+string(MessageDone))
			}
		}
	}
	if len(s.Apps) > MaxWebhookApps {
		faults.Add("/apps", audience.TooMany, fmt.Sprintf("%d, at most %d are possible", len(s.Apps), MaxWebhookApps))
	} else {
		for n, app := range s.Apps {
			if !known(app) {
				faults.Add(fmt.Sprint("/apps/", n), audience.Unknown, "there is no such app")
			}
		}
	}
	s.Kinds = slices.Compact(slices.Sorted(slices.Values(s.Kinds)))
	s.Apps = slices.Compact(slices.Sorted(slices.Values(s.Apps)))
	return faults.Err()
}

// checkURL notes what is wrong with a URL, and repeats none of it. plain allows http
// to everywhere.
func checkURL(at, text string, plain bool, faults *audience.Faults) {
	if text == "" {
		faults.Add(at, audience.Required, "give the URL that events are posted to")
		return
	}
	if len(text) > MaxURLBytes {
		faults.Add(at, audience.TooLong, fmt.Sprintf("%d bytes, at most %d are possible", len(text), MaxURLBytes))
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.Port() == "0":
		faults.Add(at, audience.Malformed, "not a URL, such as https://hooks.example.com/herald")
	case u.User != nil:
		faults.Add(at, audience.Malformed, "a URL with a user or password in it: a receiver is to check the signature")
	case u.Fragment != "":
		faults.Add(at, audience.Malformed, "a URL with a fragment, which is not sent to anybody")
	case u.Scheme == "https", u.Scheme == "http" && (plain || isLoopback(u.Hostname())):
	case u.Scheme == "http":
		faults.Add(at, audience.Malformed, "http is for receivers on this machine alone: use https")
	default:
		faults.Add(at, audience.Malformed, "not an https URL")
	}
}

// isLoopback reports whether a host is the machine itself.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Host returns the host of the URL, which is what may be shown of it everywhere: some
// have a secret in their path.
func (s *WebhookSpec) Host() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// WebhookPause is the body of the event WebhookPaused. The Subject is the ID of the
// webhook.
type WebhookPause struct {
	Name string `json:"name,omitempty"`
	Host string `json:"host"`
	// Why is WhyFailing or WhyGone.
	Why          string    `json:"why"`
	FailingSince time.Time `json:"failing_since"`
	LastStatus   int       `json:"last_status,omitempty"`
	LastError    string    `json:"last_error,omitempty"`
}

// ofPause returns the event that a webhook was paused. Until that is stored, it is
// the same event.
func ofPause(w *Webhook, p Progress, at time.Time) (Event, error) {
	id := derivedID(string(WebhookPaused), string(w.ID), fmt.Sprint(p.Term), p.FailingSince.Format(time.RFC3339Nano))
	return newEvent(id, at, "", WebhookPaused, string(w.ID), WebhookPause{
		Name: w.Name, Host: w.Host(), Why: p.Why, FailingSince: p.FailingSince, LastStatus: p.LastStatus, LastError: p.LastError,
	})
}
