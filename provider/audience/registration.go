package audience

import (
	"cmp"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

// Registration is what an app says of an installation, as JSON in the API.
type Registration struct {
	// DeviceTokens are at most MaxDestinations. None is possible: the user may
	// not have been asked yet.
	DeviceTokens []RegisteredToken `json:"device_tokens,omitempty"`
	// Person has the aliases of who uses it, by label: at most MaxAliases.
	Person map[string]string `json:"person,omitempty"`
	// Tags are at most MaxTags, in any order.
	Tags       []string `json:"tags,omitempty"`
	Locale     string   `json:"locale,omitempty"`
	TimeZone   string   `json:"time_zone,omitempty"`
	AppVersion string   `json:"app_version,omitempty"`
	// Sequence, if it is not zero, orders the registrations of an installation:
	// one with a lower number than the last is late on its way, and changes
	// nothing.
	Sequence uint64 `json:"sequence,omitempty"`
}

// RegisteredToken is a device token of a Registration.
type RegisteredToken struct {
	// Kind is KindAlert if it is empty.
	Kind Kind   `json:"kind,omitempty"`
	Name string `json:"name,omitempty"`
	// Environment is "sandbox" or "production".
	Environment string `json:"environment"`
	// Value is the device token, as apnsclient.ParseDeviceToken takes it: in hex,
	// or in the form "<740f4707 bebcf74f …>" in which old apps print it.
	Value string `json:"value"`
}

// Register returns what an installation becomes by a registration at the time
// now, and whether that is worth storing: a registration that says nothing new
// is not, unless the last was noted long ago. An installation that is not known
// yet is the zero value but for its ID.
//
// The error is an *InvalidError.
func (i Installation) Register(r Registration, now time.Time) (_ Installation, changed bool, err error) {
	said, err := r.read()
	if err != nil {
		return i, false, err
	}
	isNew := i.CreatedAt.IsZero()
	if !isNew && r.Sequence != 0 && r.Sequence < i.Sequence {
		return i, false, nil
	}
	now = now.UTC().Round(0) // as it is stored
	after := said
	after.ID, after.Ordinal, after.CreatedAt, after.UpdatedAt = i.ID, i.Ordinal, i.CreatedAt, i.UpdatedAt
	if isNew {
		after.CreatedAt = now
	}
	after.Sequence = cmp.Or(r.Sequence, i.Sequence)
	for n := range after.Destinations {
		d := &after.Destinations[n]
		if k := i.destination(d); k != nil && k.DeviceToken == d.DeviceToken {
			d.Standing = k.Standing
		}
		d.Standing = d.Standing.registered(now)
	}
	if !isNew && now.Sub(i.UpdatedAt) < ConfirmEvery && after.equal(&i) {
		return i, false, nil
	}
	after.UpdatedAt = now
	return after, true, nil
}

// destination returns the one of i that is for the same as d, or nil.
func (i *Installation) destination(d *Destination) *Destination {
	for n := range i.Destinations {
		if i.Destinations[n].same(d) {
			return &i.Destinations[n]
		}
	}
	return nil
}

// equal reports whether i and j are the same.
func (i *Installation) equal(j *Installation) bool {
	return i.ID == j.ID && i.Ordinal == j.Ordinal && i.Locale == j.Locale && i.TimeZone == j.TimeZone &&
		i.AppVersion == j.AppVersion && i.Sequence == j.Sequence && slices.Equal(i.Person, j.Person) &&
		slices.Equal(i.Tags, j.Tags) && slices.Equal(i.Destinations, j.Destinations)
}

// read returns what the registration says, in the order and form in which it is
// stored.
func (r Registration) read() (said Installation, err error) {
	var faults Faults
	said.Destinations = r.readTokens(&faults)
	said.Person = r.readPerson(&faults)
	said.Tags = r.readTags(&faults)
	said.Locale = r.readLocale(&faults)
	said.TimeZone, said.AppVersion = r.TimeZone, r.AppVersion
	if r.TimeZone != "" && !isTimeZone(r.TimeZone) {
		faults.Add("/time_zone", Malformed, "not the name of a time zone, such as Europe/Zurich")
	}
	checkText(&faults, "/app_version", r.AppVersion, MaxAppVersionBytes)
	return said, faults.Err()
}

// byUse is the order of destinations.
func byUse(a, b Destination) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Environment, b.Environment))
}

func (r Registration) readTokens(faults *Faults) (all []Destination) {
	if len(r.DeviceTokens) > MaxDestinations {
		faults.Add("/device_tokens", TooMany, tooMany(len(r.DeviceTokens), MaxDestinations))
		return nil
	}
	for n, t := range r.DeviceTokens {
		d, ok := t.read(pointer("/device_tokens", n), faults)
		if !ok {
			continue
		}
		if slices.ContainsFunc(all, func(e Destination) bool { return e.same(&d) }) {
			faults.Add(pointer("/device_tokens", n), Duplicate, "another device token is of this kind and environment")
		}
		all = append(all, d)
	}
	slices.SortFunc(all, byUse)
	return all
}

func (t RegisteredToken) read(at string, faults *Faults) (d Destination, ok bool) {
	before := len(*faults)
	d = Destination{Kind: cmp.Or(t.Kind, KindAlert), Name: t.Name}
	if !d.Kind.Known() {
		faults.Add(at+"/kind", Unknown, "no kind of device token")
	}
	switch {
	case d.Kind != KindActivity && t.Name != "":
		faults.Add(at+"/name", Malformed, "only an activity has a name")
	case d.Kind == KindActivity && t.Name == "":
		faults.Add(at+"/name", Required, "the activity is not named")
	default:
		checkText(faults, at+"/name", t.Name, MaxNameBytes)
	}
	var err error
	if d.Environment, err = apns.ParseEnvironment(t.Environment); err != nil {
		faults.Add(at+"/environment", Required, "sandbox or production")
	}
	if d.DeviceToken, err = apnsclient.ParseDeviceToken(t.Value); err != nil {
		faults.Add(at+"/value", Malformed, err.Error())
	}
	return d, len(*faults) == before
}

func (r Registration) readPerson(faults *Faults) (all []Alias) {
	if len(r.Person) > MaxAliases {
		faults.Add("/person", TooMany, tooMany(len(r.Person), MaxAliases))
		return nil
	}
	for label, id := range r.Person {
		a := Alias{label, id}
		a.check("/person", faults)
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b Alias) int { return cmp.Compare(a.Label, b.Label) })
	return all
}

func (r Registration) readTags(faults *Faults) []string {
	if len(r.Tags) == 0 {
		return nil
	}
	if len(r.Tags) > MaxTags {
		faults.Add("/tags", TooMany, tooMany(len(r.Tags), MaxTags))
		return nil
	}
	for n, tag := range r.Tags {
		checkTag(faults, pointer("/tags", n), tag)
	}
	return slices.Compact(slices.Sorted(slices.Values(r.Tags)))
}
