package audience

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
)

const full = `{
	"device_tokens": [
		{"kind":"voip","environment":"production","value":"BB"},
		{"environment":"sandbox","value":"<aabbccdd 00>"},
		{"kind":"activity","name":"ride-7","environment":"production","value":"cc"}
	],
	"person": {"external_id":"u42","email":"anna@example.com"},
	"tags": ["news","city:zurich","news"],
	"locale": "de_CH", "time_zone": "Europe/Zurich", "app_version": "5.2.0", "sequence": 18446744073709551615
}`

func parse(t *testing.T, s string) Registration {
	t.Helper()
	r, err := ParseRegistration([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRegister(t *testing.T) {
	got, changed, err := Installation{ID: "i1"}.Register(parse(t, full), noon)
	if err != nil || !changed {
		t.Fatalf("got changed %t, %v", changed, err)
	}
	standing := Standing{RegisteredAt: noon}
	want := Installation{
		ID: "i1",
		Destinations: []Destination{
			{Kind: KindActivity, Name: "ride-7", Environment: apns.Production, DeviceToken: "\xcc", Standing: standing},
			{Kind: KindAlert, Environment: apns.Sandbox, DeviceToken: "\xaa\xbb\xcc\xdd\x00", Standing: standing},
			{Kind: KindVoIP, Environment: apns.Production, DeviceToken: "\xbb", Standing: standing},
		},
		Person: []Alias{{"email", "anna@example.com"}, {"external_id", "u42"}},
		Tags:   []string{"city:zurich", "news"},
		Locale: "de-CH", TimeZone: "Europe/Zurich", AppVersion: "5.2.0", Sequence: 1<<64 - 1,
		CreatedAt: noon, UpdatedAt: noon,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("installation (-want +got):\n%s", d)
	}
}

// TestRegisterAgain registers a second time, an hour or less after the first.
func TestRegisterAgain(t *testing.T) {
	const one = `{"device_tokens":[{"environment":"sandbox","value":"aa"}],"tags":["a"],"sequence":5}`
	first, _, err := Installation{ID: "i1"}.Register(parse(t, one), noon)
	if err != nil {
		t.Fatal(err)
	}
	first.Ordinal = 7
	gone := first
	gone.Destinations = []Destination{first.Destinations[0]}
	gone.Destinations[0].Standing = Standing{State: Gone, RegisteredAt: noon, AcceptedAt: noon, Reason: apns.Unregistered, JudgedBy: [16]byte{1}}
	tests := []struct {
		name    string
		before  Installation
		said    string
		after   time.Duration
		changed bool
		want    string // state, device token and times of the first destination; tags
	}{
		{"the same", first, one, 59 * time.Minute, false, "active aa 0s [a] 0s"},
		{"the same, much later", first, one, time.Hour, true, "active aa 1h0m0s [a] 1h0m0s"},
		{"another device token", first, strings.Replace(one, `"aa"`, `"bb"`, 1), time.Minute, true, "active bb 1m0s [a] 1m0s"},
		{"other tags", first, strings.Replace(one, `"a"`, `"b"`, 1), time.Minute, true, "active aa 0s [b] 1m0s"},
		{"late", first, strings.Replace(strings.Replace(one, `"a"`, `"b"`, 1), "5", "4", 1), time.Minute, false, "active aa 0s [a] 0s"},
		{"without a sequence", first, `{"tags":["b"]}`, time.Minute, true, "[b] 1m0s"},
		{"gone before", gone, one, time.Minute, true, "active aa 1m0s [a] 1m0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, changed, err := tt.before.Register(parse(t, tt.said), noon.Add(tt.after))
			if err != nil || changed != tt.changed {
				t.Fatalf("got changed %t, %v, want %t", changed, err, tt.changed)
			}
			var text string
			if len(got.Destinations) > 0 {
				d := got.Destinations[0]
				text = fmt.Sprint(d.Standing.State, " ", d.DeviceToken.Hex(), " ", d.Standing.RegisteredAt.Sub(noon), " ")
			}
			if text += fmt.Sprint(got.Tags, " ", got.UpdatedAt.Sub(noon)); text != tt.want {
				t.Errorf("got %q, want %q", text, tt.want)
			}
			if got.Ordinal != 7 || got.Sequence != 5 || !got.CreatedAt.Equal(noon) {
				t.Errorf("got ordinal %d, sequence %d, made at %v", got.Ordinal, got.Sequence, got.CreatedAt)
			}
		})
	}
}

func TestRegisterRefuses(t *testing.T) {
	long := strings.Repeat("x", 200)
	list := func(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	tests := []struct {
		name, said string
		want       string // pointer and code of each fault
	}{
		{"no JSON", `{`, " malformed"},
		{"more than one", `{} {}`, " malformed"},
		{"an unknown field", `{"tokens":[]}`, " unknown"},
		{"a wrong type", `{"sequence":"5"}`, "/sequence malformed"},
		{"a negative number", `{"sequence":-5}`, "/sequence malformed"},
		{"a wrong type in a list", `{"device_tokens":[{"kind":5}]}`, "/device_tokens/kind malformed"},
		{"a list", `[]`, " malformed"},
		{"an empty device token", `{"device_tokens":[{"environment":"sandbox"}]}`, "/device_tokens/0/value malformed"},
		{
			"all of a device token", `{"device_tokens":[{"kind":"fax","name":"x","value":"xyz"}]}`,
			"/device_tokens/0/kind unknown, /device_tokens/0/name malformed, /device_tokens/0/environment required, /device_tokens/0/value malformed",
		},
		{"half a bracket", `{"device_tokens":[{"environment":"sandbox","value":"<aabb"}]}`, "/device_tokens/0/value malformed"},
		{"a long device token", `{"device_tokens":[{"environment":"sandbox","value":"` + strings.Repeat("ab", 101) + `"}]}`, "/device_tokens/0/value malformed"},
		{"the longest", `{"device_tokens":[{"environment":"sandbox","value":"` + strings.Repeat("ab", 1000) + `"}]}`, "/device_tokens/0/value malformed"},
		{"an activity without a name", `{"device_tokens":[{"kind":"activity","environment":"sandbox","value":"aa"}]}`, "/device_tokens/0/name required"},
		{"a long name", `{"device_tokens":[{"kind":"activity","name":"` + long + `","environment":"sandbox","value":"aa"}]}`, "/device_tokens/0/name too_long"},
		{"twice the same", `{"device_tokens":[` + list(`{"environment":"sandbox","value":"aa"}`, 2) + `]}`, "/device_tokens/1 duplicate"},
		{"many device tokens", `{"device_tokens":[` + list(`{}`, 33) + `]}`, "/device_tokens too_many"},
		{"a label", `{"person":{"e mail":"x"}}`, "/person malformed"},
		{"an empty alias", `{"person":{"email":""}}`, "/person/email required"},
		{"a long alias", `{"person":{"email":"` + long + `"}}`, "/person/email too_long"},
		{"many aliases", `{"person":{"a":"1","b":"1","c":"1","d":"1","e":"1","f":"1","g":"1","h":"1","i":"1"}}`, "/person too_many"},
		{"tags", `{"tags":["ok","","` + long + `","a\u0000b"]}`, "/tags/1 required, /tags/2 too_long, /tags/3 malformed"},
		{"many tags", `{"tags":[` + list(`"x"`, 65) + `]}`, "/tags too_many"},
		{"a locale", `{"locale":"de CH"}`, "/locale malformed"},
		{"a long locale", `{"locale":"` + long + `"}`, "/locale too_long"},
		{"a time zone", `{"time_zone":"Mars/Olympus"}`, "/time_zone malformed"},
		{"the machine's time zone", `{"time_zone":"Local"}`, "/time_zone malformed"},
		{"a path for a time zone", `{"time_zone":"../../etc/passwd"}`, "/time_zone malformed"},
		{"a version", `{"app_version":"` + long + `"}`, "/app_version too_long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := ParseRegistration([]byte(tt.said))
			if err == nil {
				_, _, err = Installation{ID: "i1"}.Register(r, noon)
			}
			if got := faults(err); got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

// faults returns pointer and code of each fault of an error.
func faults(err error) string {
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		return fmt.Sprint(err)
	}
	var all []string
	for _, f := range invalid.Faults {
		all = append(all, f.Pointer+" "+string(f.Code))
	}
	return strings.Join(all, ", ")
}

func TestInstallationID(t *testing.T) {
	for id, want := range map[InstallationID]string{
		"0b6f0c3e-2a":                            "<nil>",
		"anna@home:1~2_3.4":                      "<nil>",
		"":                                       " required",
		InstallationID(strings.Repeat("x", 129)): " too_long",
		"a/b":                                    " malformed",
		"é":                                      " malformed",
	} {
		if got := faults(id.Check()); got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
}

func TestKinds(t *testing.T) {
	for k := range pushTypes {
		p := k.PushType()
		if !p.Known() {
			t.Errorf("%s: push type %q is none", k, p)
		}
		if got, ok := KindOf(p); ok && got != k {
			t.Errorf("%s: got %s, want %s", p, got, k)
		}
	}
	if k, ok := KindOf(apns.PushTypeBackground); k != KindAlert || !ok {
		t.Errorf("background: got %s, want alert", k)
	}
	for _, p := range []apns.PushType{apns.PushTypeLiveActivity, apns.PushTypeMDM, "fax"} {
		if k, ok := KindOf(p); ok {
			t.Errorf("%s: got %s, want none", p, k)
		}
	}
}

// TestPatch has the examples of RFC 7396 appendix A that can be told of a
// registration.
func TestPatch(t *testing.T) {
	const before = `{"person":{"a":"1","b":"2"},"tags":["x","y"],"locale":"de","sequence":18446744073709551615}`
	tests := []struct{ name, patch, want string }{
		{"nothing", `{}`, before},
		{"a value", `{"locale":"fr"}`, `{"person":{"a":"1","b":"2"},"tags":["x","y"],"locale":"fr","sequence":18446744073709551615}`},
		{"a new value", `{"app_version":"1"}`, `{"person":{"a":"1","b":"2"},"tags":["x","y"],"locale":"de","app_version":"1","sequence":18446744073709551615}`},
		{"away with it", `{"locale":null,"sequence":null}`, `{"person":{"a":"1","b":"2"},"tags":["x","y"]}`},
		{"a part", `{"person":{"b":null,"c":"3"}}`, `{"person":{"a":"1","c":"3"},"tags":["x","y"],"locale":"de","sequence":18446744073709551615}`},
		{"away with all of it", `{"person":null}`, `{"tags":["x","y"],"locale":"de","sequence":18446744073709551615}`},
		{"a list", `{"tags":["z"]}`, `{"person":{"a":"1","b":"2"},"tags":["z"],"locale":"de","sequence":18446744073709551615}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(t, before).Patch([]byte(tt.patch))
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(got)
			if err != nil || string(text) != tt.want {
				t.Errorf("got %s, %v, want %s", text, err, tt.want)
			}
		})
	}
	for name, patch := range map[string]string{
		"no JSON": `{"a`, "no object": `["x"]`, "null": `null`, "two": `{} {}`, "an unknown field": `{"x":1}`, "a wrong type": `{"tags":{"a":1}}`,
	} {
		if _, err := parse(t, before).Patch([]byte(patch)); faults(err) == "<nil>" {
			t.Errorf("%s: got no error", name)
		}
	}
}

// TestRegisterTwice proves that a registration done twice is one done once, and
// that an installation is what its own registration makes of it.
func TestRegisterTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := Installation{ID: "i1"}
		at := noon
		for range 3 {
			r := draw(t)
			at = at.Add(time.Duration(rapid.IntRange(0, 19).Draw(t, "minutes")) * time.Minute)
			once, _, err := i.Register(r, at)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range []Registration{r, once.Registration()} {
				if twice, changed, err := once.Register(r, at); err != nil || changed || !twice.equal(&once) {
					t.Fatalf("again: changed %t, %v (-once +twice)\n%s", changed, err, cmp.Diff(once, twice))
				}
			}
			i = once
		}
	})
}

// draw returns a registration that is valid.
func draw(t *rapid.T) Registration {
	r := Registration{
		Tags:     rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 4).Draw(t, "tags"),
		Person:   rapid.MapOfN(rapid.SampledFrom([]string{"x", "y"}), rapid.SampledFrom([]string{"1", "2"}), 0, 2).Draw(t, "person"),
		Locale:   rapid.SampledFrom([]string{"", "de", "de_CH"}).Draw(t, "locale"),
		Sequence: rapid.Uint64Range(0, 3).Draw(t, "sequence"),
	}
	for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom([]Kind{"", KindVoIP, KindActivity}), 0, 3, rapid.ID).Draw(t, "kinds") {
		d := RegisteredToken{Kind: k, Environment: "sandbox", Value: rapid.SampledFrom([]string{"aa", "<bb>", "CC"}).Draw(t, "value")}
		if k == KindActivity {
			d.Name = "ride"
		}
		r.DeviceTokens = append(r.DeviceTokens, d)
	}
	return r
}

// FuzzParseRegistration proves that whatever an app says is taken or refused, and
// that what is taken can be said again.
func FuzzParseRegistration(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`{"device_tokens":null,"person":{},"tags":[],"sequence":0}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRegistration(b)
		if err != nil {
			return
		}
		i, _, err := Installation{ID: "i1"}.Register(r, noon)
		if err != nil {
			return
		}
		if again, changed, err := i.Register(i.Registration(), noon); err != nil || changed {
			t.Errorf("again: %v (-once +twice)\n%s", err, cmp.Diff(i, again))
		}
	})
}
