package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/api"
)

// With several device tokens a line says which push it is about, and control
// characters of others do not reach the terminal.
func TestWriteMessageStory(t *testing.T) {
	const first, second = "376a4ad4-c37d-805a-a82b-a74fbae13637", "8b1f0f0e-c37d-805a-a82b-a74fbae13637"
	start := time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)
	line := func(by string, id apns.NotificationID, after time.Duration, hop, sentence string) messageLine {
		return messageLine{by, id, admin.TraceLine{Time: start.Add(after), Hop: hop, Sentence: sentence}}
	}
	refused := uint16(1)
	for _, tt := range []struct {
		name  string
		lines []messageLine
		want  string
	}{
		{"one push", []messageLine{
			line(byProvider, "", 0, "submitted", "the API took it"),
			line(byProvider, first, time.Millisecond, "tried", "sent\x1b[2J"),
		}, `msg_00000000000000000000000000 for phone of shop, from 2026-04-01 on:

09:00:00.000000        the API took it
09:00:00.001000  +1ms  sent?[2J

In short: accepted.
`},
		{"several, and one that a device has not taken", []messageLine{
			line(byProvider, "", 0, "submitted", "the API took it"),
			line(byProvider, first, 0, "tried", "sent"),
			line(byProvider, second, time.Second, "tried", "sent"),
			{byPlatform, second, admin.TraceLine{Time: start.Add(time.Second), Hop: "acked", Sentence: "no", Status: &refused, Derived: true}},
		}, `msg_00000000000000000000000000 for phone of shop, from 2026-04-01 on:

09:00:00.000000                 the API took it
09:00:00.000000  +0s  376a4ad4  sent
09:00:01.000000  +1s  8b1f0f0e  sent
09:00:01.000000  +0s  8b1f0f0e  no (this follows from the other lines)

In short: accepted.
`},
		{"a device has it", []messageLine{
			{byPlatform, first, admin.TraceLine{Time: start, Hop: "acked", Sentence: "yes", Status: new(uint16)}},
		}, `msg_00000000000000000000000000 for phone of shop, from 2026-04-01 on:

09:00:00.000000    yes

In short: the device has it.
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := messageStory{App: "shop", Story: api.Story{Installation: "phone", Summary: "accepted"}, Lines: tt.lines}
			var b strings.Builder
			if err := writeMessageStory(&b, m); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, b.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
