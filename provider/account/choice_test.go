package account_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestJudge(t *testing.T) {
	key := account.Credential{Kind: account.ProviderKey}
	voip := account.Credential{Kind: account.PushCertificate, Topics: []apns.Topic{bundleID + ".voip"}}
	for _, tt := range []struct {
		c     account.Credential
		topic apns.Topic
		err   error
		want  string
	}{
		{key, bundleID, nil, "taken "},
		{key, bundleID, rejected(apns.BadDeviceToken), "taken "},
		{key, bundleID, rejected(apns.Unregistered), "taken "},
		{key, bundleID, rejected(apns.ExpiredToken), "taken "},
		{key, bundleID, rejected(apns.InvalidProviderToken), "refused InvalidProviderToken"},
		{key, bundleID, rejected(apns.BadEnvironmentKeyInToken), "refused BadEnvironmentKeyInToken"},
		{key, bundleID, rejected(apns.Forbidden), "refused Forbidden"},
		{voip, bundleID + ".voip", rejected(apns.BadCertificate), "refused BadCertificate"},
		{voip, bundleID + ".voip", rejected(apns.BadCertificateEnvironment), "refused BadCertificateEnvironment"},
		{voip, bundleID + ".voip", rejected(apns.TopicDisallowed), "refused TopicDisallowed"},
		{key, bundleID, rejected(apns.TopicDisallowed), "refused TopicDisallowed"},
		{key, bundleID + ".voip", rejected(apns.TopicDisallowed), "unclear "},
		{key, bundleID, rejected(apns.DeviceTokenNotForTopic), "unclear "},
		{key, bundleID, rejected(apns.ExpiredProviderToken), "unclear "}, // the clock, or nobody made another
		{key, bundleID, rejected(apns.TooManyProviderTokenUpdates), "unclear "},
		{key, bundleID, rejected(apns.TooManyRequests), "unclear "},
		{key, bundleID, rejected(apns.InternalServerError), "unclear "},
		{key, bundleID, rejected(apns.PayloadTooLarge), "unclear "},
		{key, bundleID, errors.New("no such host"), "unclear "},
	} {
		t.Run(fmt.Sprint(tt.topic, tt.err), func(t *testing.T) {
			verdict, reason := tt.c.Judge(account.Answer{Topic: tt.topic, Err: tt.err})
			if got := fmt.Sprint(verdict, " ", reason); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestAfter tells a story: answers, and what they make of a credential in
// production; "same" is for what is not worth storing.
func TestAfter(t *testing.T) {
	c := account.Credential{Environments: []apns.Environment{apns.Production}}
	taken, refused := error(nil), rejected(apns.InvalidProviderToken)
	for _, step := range []struct {
		at   time.Duration
		err  error
		env  apns.Environment
		want string
	}{
		{0, rejected(apns.ServiceUnavailable), apns.Production, "same"},
		{0, taken, apns.Sandbox, "same"}, // it is not for that
		{1 * time.Minute, taken, apns.Production, "proven 1m0s"},
		{2 * time.Minute, taken, apns.Production, "same"},
		{62 * time.Minute, taken, apns.Production, "proven 1h2m0s"},
		{63 * time.Minute, refused, apns.Production, "proven 1h2m0s InvalidProviderToken 1h3m0s"},
		{64 * time.Minute, refused, apns.Production, "same"},
		{63*time.Minute + 59*time.Second, taken, apns.Production, "same"}, // it flutters
		{65 * time.Minute, rejected(apns.Forbidden), apns.Production, "proven 1h2m0s Forbidden 1h5m0s"},
		{70 * time.Minute, taken, apns.Production, "proven 1h10m0s"},
	} {
		after, changed := c.After(account.Answer{Environment: step.env, Topic: bundleID, At: noon.Add(step.at), Err: step.err})
		got := "same"
		if changed {
			s := after.Standing(apns.Production)
			got = fmt.Sprint("proven ", s.ProvenAt.Sub(noon))
			if s.Reason != "" {
				got += fmt.Sprint(" ", s.Reason, " ", s.RefusedAt.Sub(noon))
			}
			if s.Proven() != (s.Reason == "") {
				t.Errorf("at %v: proven is %v", step.at, s.Proven())
			}
		}
		if got != step.want {
			t.Errorf("at %v, after %v: got %q, want %q", step.at, step.err, got, step.want)
		}
		c = after
	}
}

// made returns a credential in production, made some days after noon. The words say
// what it has come to: proven, refused, expired, soon to expire in days, sandbox,
// voip.
func made(id string, dayMade int, words string) account.Credential {
	c := account.Credential{
		ID: account.CredentialID(id), App: shop, CreatedAt: noon.AddDate(0, 0, dayMade),
		Environments: []apns.Environment{apns.Production}, NotAfter: noon.AddDate(1, 0, 0),
	}
	s := account.Standing{Environment: apns.Production}
	for word := range strings.FieldsSeq(words) {
		switch word {
		case "proven":
			s.ProvenAt = noon
		case "refused":
			s.Reason, s.RefusedAt = apns.Forbidden, noon
		case "expired":
			c.NotAfter = noon
		case "early":
			c.NotBefore = noon.Add(time.Nanosecond)
		case "endless":
			c.NotAfter = time.Time{}
		case "sandbox":
			c.Environments = []apns.Environment{apns.Sandbox}
		case "app":
			c.Topics = []apns.Topic{bundleID}
		case "voip":
			c.Topics = []apns.Topic{bundleID + ".voip"}
		case "":
		default:
			panic(word)
		}
	}
	if s != (account.Standing{Environment: apns.Production}) {
		c.Standings = []account.Standing{s}
	}
	return c
}

func TestChoose(t *testing.T) {
	for _, tt := range []struct {
		name string
		all  []account.Credential
		want string // for bundleID in production
	}{
		{"none", nil, ""},
		{"one", []account.Credential{made("a", 1, "")}, "a"},
		{"the new one is not proven", []account.Credential{made("old", 1, "proven"), made("new", 2, "")}, "old new"},
		{"the new one is proven", []account.Credential{made("old", 1, "proven"), made("new", 2, "proven")}, "new old"},
		{"the new one is refused", []account.Credential{made("old", 1, "proven"), made("new", 2, "refused")}, "old new"},
		{"the old one is refused", []account.Credential{made("old", 1, "proven refused"), made("new", 2, "")}, "new old"},
		{"all are refused", []account.Credential{made("old", 1, "refused"), made("new", 2, "proven refused")}, "new old"},
		{"expired", []account.Credential{made("old", 1, "proven expired"), made("new", 2, "")}, "new"},
		{"not valid yet", []account.Credential{made("new", 1, "early")}, ""},
		{"another environment", []account.Credential{made("a", 1, "sandbox"), made("b", 1, "")}, "b"},
		{"another topic", []account.Credential{made("a", 1, "voip proven"), made("b", 1, "app")}, "b"},
		{"made at once", []account.Credential{made("b", 1, ""), made("a", 1, "endless")}, "a b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range account.Choose(tt.all, apns.Production, bundleID, noon) {
				got = append(got, string(c.ID))
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNeeded(t *testing.T) {
	for _, tt := range []struct {
		name   string
		c      account.Credential
		others []account.Credential
		want   bool
	}{
		{"the only one", made("a", 1, "proven"), nil, true},
		{"the only one, never proven", made("a", 1, ""), nil, false},
		{"the only one, refused", made("a", 1, "proven refused"), nil, false},
		{"the only one, expired", made("a", 1, "proven expired"), nil, false},
		{"beside itself", made("a", 1, "proven"), []account.Credential{made("a", 1, "proven")}, true},
		{"beside one that is proven", made("a", 1, "proven app"), []account.Credential{made("b", 2, "proven endless")}, false},
		{"beside one that is not", made("a", 1, "proven"), []account.Credential{made("b", 2, "")}, true},
		{"beside one that expired", made("a", 1, "proven"), []account.Credential{made("b", 2, "proven expired")}, true},
		{"beside one for less", made("a", 1, "proven"), []account.Credential{made("b", 2, "proven app")}, true},
		{"beside one for something else", made("a", 1, "proven app"), []account.Credential{made("b", 2, "proven voip")}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.c.Needed(tt.others, noon); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestExpiries tells at what times a credential's end is near, which of the notices
// are due, and which were given.
func TestExpiries(t *testing.T) {
	c := made("a", 1, "proven")
	end, day := c.NotAfter, 24*time.Hour
	for _, step := range []struct {
		before time.Duration // the end
		want   string        // due
		near   string
		given  bool // after that
	}{
		{31 * day, "", "", false},
		{30*day + 1, "", "", false},
		{30 * day, "30", "30", false},
		{29 * day, "30", "30", true},
		{28 * day, "", "30", false},
		{14 * day, "14", "14", true},
		{13 * day, "", "14", false},
		{6 * day, "7", "7", false}, // nobody looked for a while, and then it was not given
		{day, "1", "1", true},
		{1, "", "1", false},
		{0, "0", "0", true},
		{-100 * day, "", "0", false},
	} {
		at := end.Add(-step.before)
		days := func(all []account.Expiry) string {
			var s []string
			for _, e := range all {
				s = append(s, fmt.Sprint(e.Days))
				if !e.Needed || e.Credential != "a" || e.App != shop || !e.NotAfter.Equal(end) {
					t.Errorf("got %+v", e)
				}
			}
			return strings.Join(s, " ")
		}
		due := account.Expiries([]account.Credential{c}, at)
		if got, near := days(due), days(account.Expiring([]account.Credential{c}, at)); got != step.want || near != step.near {
			t.Errorf("%v before the end: got %q due of %q, want %q of %q", step.before, got, near, step.want, step.near)
		}
		if step.given {
			c.Told = slices.Index([]int{30, 14, 7, 1, 0}, due[0].Days) + 1
		}
	}
	for _, tt := range []struct {
		name  string
		other account.Credential
		want  bool
	}{
		{"one that outlives it", made("b", 2, "proven endless"), false},
		{"one that ends with it", made("b", 2, "proven"), true},
		{"one that is not proven", made("b", 2, "endless"), true},
		{"one for less", made("b", 2, "proven endless app"), true},
	} {
		got := account.Expiring([]account.Credential{made("a", 1, "proven"), tt.other}, end.Add(-time.Hour))
		if got = slices.DeleteFunc(got, func(e account.Expiry) bool { return e.Credential != "a" }); len(got) != 1 || got[0].Needed != tt.want {
			t.Errorf("beside %s: got %+v, want needed %v", tt.name, got, tt.want)
		}
	}
	if got := account.Expiries([]account.Credential{made("k", 1, "endless")}, end.AddDate(100, 0, 0)); got != nil {
		t.Errorf("a key: got %+v, want none", got)
	}
}

// TestChooseRandom proves for any credentials that what is chosen can do it, and that
// one that is proven is never behind one that is not.
func TestChooseRandom(t *testing.T) {
	words := []string{"proven", "refused", "expired", "early", "sandbox", "app", "voip", "endless"}
	rapid.Check(t, func(rt *rapid.T) {
		var all []account.Credential
		for n := range rapid.IntRange(0, 6).Draw(rt, "credentials") {
			all = append(all, made(fmt.Sprint(n), rapid.IntRange(0, 3).Draw(rt, "day"),
				strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 4).Draw(rt, "words"), " ")))
		}
		chosen := account.Choose(all, apns.Production, bundleID, noon)
		fit := 0
		for _, c := range all {
			if c.Valid(noon) && c.Reaches(apns.Production, bundleID) {
				fit++
			}
		}
		if len(chosen) != fit {
			rt.Fatalf("got %d, want %d", len(chosen), fit)
		}
		proven := true
		for _, c := range chosen {
			now := c.Standing(apns.Production).Proven()
			if now && !proven {
				rt.Fatalf("%s is proven, and behind one that is not", c.ID)
			}
			proven = now
		}
		// What is not needed can go, and there is still one that is proven if there was.
		if len(chosen) > 0 && chosen[0].Standing(apns.Production).Proven() {
			for _, c := range all {
				if c.Needed(all, noon) {
					continue
				}
				rest := slices.DeleteFunc(slices.Clone(all), func(o account.Credential) bool { return o.ID == c.ID })
				left := account.Choose(rest, apns.Production, bundleID, noon)
				if len(left) == 0 || !left[0].Standing(apns.Production).Proven() {
					rt.Fatalf("without %s, which is not needed, none is proven", c.ID)
				}
			}
		}
	})
}
