package api

import (
	"encoding/json"
	"testing"
)

// FuzzScan proves that a value is passed as a whole, and that a string is what it is to
// encoding/json.
func FuzzScan(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `""`, `0`, `-1.5e+3`, `true`, `null`, ` {"a" : [1, {"b":"}]"}], "\"c\\":"\\\""} `, `"\u00e4\ud83d\ude00 \ud83d"`, `[[[["]"]]]]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var whole json.RawMessage
		if err := json.Unmarshal(text, &whole); err != nil {
			return // it is only for what is valid
		}
		s := scanner{text: text}
		got := s.skip()
		if string(got) != string(whole) || s.peek() != 0 {
			t.Errorf("%q: got %q, want %q", text, got, whole)
		}
		var want string
		if err := json.Unmarshal(text, &want); err == nil && whole[0] == '"' {
			s = scanner{text: text}
			var again string
			quoted, err := json.Marshal(string(s.str()))
			if err == nil {
				err = json.Unmarshal(quoted, &again)
			}
			if err != nil || again != want {
				t.Errorf("%q: got %q, want %q, %v", text, again, want, err)
			}
		}
	})
}
