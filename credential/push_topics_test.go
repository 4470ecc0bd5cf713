package credential

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Vectors of docs/protocol/certificates.md#topics. The first has the layout
// of a real certificate of issuer G1, the others of G4.
const (
	topicsG1 = "30700C13636F6D2E6578616D706C652E46616B6541707030050C036170700C18636F6D2E6578616D706C" +
		"652E46616B654170702E766F697030060C04766F69700C20636F6D2E6578616D706C652E46616B654170" +
		"702E636F6D706C69636174696F6E300E0C0C636F6D706C69636174696F6E"
	topicsG4 = "30690C10636F6D2E6578616D706C652E7075736830070C05746F7069630C15636F6D2E6578616D706C652E70" +
		"7573682E766F697030060C04766F69700C1D636F6D2E6578616D706C652E707573682E636F6D706C69636174" +
		"696F6E300E0C0C636F6D706C69636174696F6E"
)

var cmpTopics = cmp.AllowUnexported(pushTopic{})

func TestTopicsVectors(t *testing.T) {
	tests := []struct {
		name string
		hex  string
		want []pushTopic
	}{
		{"G1", topicsG1, []pushTopic{
			{"com.example.FakeApp", "app"},
			{"com.example.FakeApp.voip", "voip"},
			{"com.example.FakeApp.complication", "complication"},
		}},
		{"G4", topicsG4, []pushTopic{
			{"com.example.push", "topic"},
			{"com.example.push.voip", "voip"},
			{"com.example.push.complication", "complication"},
		}},
		{"unknown kind", "3043 0C10 636F6D2E6578616D706C652E70757368 3007 0C05 746F706963" +
			"0C19 636F6D2E6578616D706C652E707573682E766F69702D707474 300B 0C09 2E766F69702D707474", []pushTopic{
			{"com.example.push", "topic"},
			{"com.example.push.voip-ptt", ".voip-ptt"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			der := unhex(t, tt.hex)
			got, err := parseTopics(der)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpTopics); diff != "" {
				t.Errorf("topics (-want +got):\n%s", diff)
			}
			again, err := asn1.Marshal(topicsValue(got))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again, der) {
				t.Errorf("written again: got %X, want %X", again, der)
			}
			for i := range der {
				if _, err := parseTopics(der[:i]); err == nil {
					t.Fatalf("the first %d of %d bytes were accepted", i, len(der))
				}
			}
		})
	}
}

func TestTopicsDialects(t *testing.T) {
	want := []pushTopic{{"a.b", ""}}
	for name, h := range map[string]string{
		"no kind":         "3005 0C03 612E62",
		"PrintableString": "3005 1303 612E62",
		"IA5String":       "3005 1603 612E62",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseTopics(unhex(t, h))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpTopics); diff != "" {
				t.Errorf("topics (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTopicsRefused(t *testing.T) {
	many := make([]pushTopic, maxTopics+1)
	for i := range many {
		many[i] = pushTopic{"a.b", "topic"}
	}
	tooMany, err := asn1.Marshal(topicsValue(many))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, hex, want string }{
		{"not a sequence", "0C03 612E62", "damaged"},
		{"no topics", "3000", "lists none"},
		{"kind first", "3009 3002 0C00 0C03 612E62", "kind without a topic"},
		{"two kinds", "3011 0C03 612E62 3005 0C03 617070 3003 0C01 61", "kind without a topic"},
		{"empty kind", "3007 0C03 612E62 3000", "kind of 0 strings"},
		{"kind of two strings", "300D 0C03 612E62 3006 0C01 61 0C01 61", "kind of 2 strings"},
		{"empty topic", "3002 0C00", "not a topic"},
		{"wildcard", "3005 0C03 612E2A", "not a topic"},
		{"not UTF-8", "3003 0C01 FF", "not UTF-8"},
		{"BMPString", "3006 1E04 0061 0062", "ASN.1 type 30"},
		{"compound string", "3007 2C05 0C03 612E62", ""},
		{"trailing bytes", "3005 0C03 612E62 00", "damaged"},
		{"too many", hex.EncodeToString(tooMany), "more than 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseTopics(unhex(t, tt.hex))
			wantError(t, err, tt.want)
		})
	}
}

func TestVoIPTopics(t *testing.T) {
	got, err := parseVoIPTopics(unhex(t, "0C2D 636F6D2E6578616D706C652E46616B654170702C20636F6D2E6578616D706C652E46616B654170702E766F6970"))
	if err != nil {
		t.Fatal(err)
	}
	want := []pushTopic{{"com.example.FakeApp", ""}, {"com.example.FakeApp.voip", ""}}
	if diff := cmp.Diff(want, got, cmpTopics); diff != "" {
		t.Errorf("topics (-want +got):\n%s", diff)
	}
	for name, h := range map[string]string{
		"empty": "0C00", "comma at the end": "0C04 612E622C", "trailing bytes": "0C03 612E62 00", "cut": "0C03 612E",
	} {
		if _, err := parseVoIPTopics(unhex(t, h)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzParseTopics reads both forms of the list, the present one and that of
// VoIP.
func FuzzParseTopics(f *testing.F) {
	for _, h := range []string{topicsG1, topicsG4, "30050C03612E62", "3000", "0C08612E622C20632E64", "1303612E62"} {
		f.Add(unhex(f, h))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		topics, err := parseTopics(der)
		if err != nil {
			topics, err = parseVoIPTopics(der)
		}
		if err != nil {
			return
		}
		if len(topics) == 0 || len(topics) > maxTopics {
			t.Fatalf("got %d topics", len(topics))
		}
		for _, topic := range topics {
			if !topic.topic.Valid() {
				t.Fatalf("got topic %q", topic.topic)
			}
		}
		again, err := asn1.Marshal(topicsValue(topics))
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseTopics(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(topics, got, cmpTopics); diff != "" {
			t.Errorf("written and read again (-first +second):\n%s", diff)
		}
	})
}
