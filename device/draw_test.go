package device

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestDraw(t *testing.T) {
	three := 3
	at := time.Date(2026, 5, 1, 9, 41, 0, 0, time.UTC)
	tests := []struct {
		name  string
		p     Presentation
		width int
		want  string
	}{
		{
			"banner, sound and badge",
			Presentation{AppName: "Demo", Banner: true, Title: "Dinner", Subtitle: "At eight", Body: "Bring something to drink, and somebody to drink it with.", Sound: "default", Badge: &three, ReceivedAt: at},
			40, `
╭──────────────────────────────────────╮
│ Demo                           09:41 │
│ Dinner                               │
│ At eight                             │
│ Bring something to drink, and        │
│ somebody to drink it with.           │
╰──────────────────────────────────────╯
  ♪ default  ● 3
`,
		},
		{
			"wide characters, marks and lines",
			Presentation{AppName: "Demo", Banner: true, Title: "東京は晴れ", Body: "e\u0301te\u0301 🎉\r\n\n한국어 텍스트 텍스트 텍스트", ReceivedAt: at},
			24, `
╭──────────────────────╮
│ Demo           09:41 │
│ 東京は晴れ           │
│ ` + "e\u0301te\u0301" + ` 🎉               │
│ 한국어 텍스트 텍스트 │
│ 텍스트               │
╰──────────────────────╯
`,
		},
		{
			"listed without a banner",
			Presentation{AppName: "Demo", Listed: true, Title: "Weekly\nreport", Body: "nothing new", Badge: &three},
			40, `
  Demo  ≡ Weekly report  ● 3
`,
		},
		{
			"long texts",
			Presentation{AppName: "An app with quite a name", Banner: true, Title: "A title that is too long", Body: strings.Repeat("word ", 100)},
			20, `
╭──────────────────╮
│ An app with qui… │
│ A title that is… │
│ word word word   │
│ word word word   │
│ word word word   │
│ word word word   │
│ word word word   │
│ word word word…  │
╰──────────────────╯
`,
		},
		{
			"a long word",
			Presentation{AppName: "Demo", Banner: true, Body: strings.Repeat("x", 40)},
			20, `
╭──────────────────╮
│ Demo             │
│ xxxxxxxxxxxxxxxx │
│ xxxxxxxxxxxxxxxx │
│ xxxxxxxx         │
╰──────────────────╯
`,
		},
		{
			"terminal injection",
			Presentation{
				AppName: "\x1b[31mDemo", Banner: true, Title: "\x1b]0;owned\x07\u009b2Jgone", Subtitle: "\u202eevil\u2066 \u200bhere\ufeff",
				Body: "line\rover\bwritten\x00\x7f\xff\nsecond\u2028third\ue000", Sound: "\x1b[A\nbell",
			},
			30, `
╭────────────────────────────╮
│ [31mDemo                   │
│ ]0;owned 2Jgone            │
│ evil here                  │
│ line                       │
│ over written �             │
│ second                     │
│ third�                     │
╰────────────────────────────╯
  ♪ [A bell
`,
		},
		{"sound alone", Presentation{AppName: "Demo", Sound: "default"}, 0, "\n  Demo  ♪ default\n"},
		{"silent", Presentation{Topic: "com.example.demo", Silent: true}, 0, "\n  com.example.demo  silent\n"},
		{"nothing", Presentation{}, 0, "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, "\n"+tt.p.Draw(tt.width)); diff != "" {
				t.Errorf("drawing (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzDraw(f *testing.F) {
	f.Add("Title", "Sub", "Body text\nand more", "default", 40)
	f.Add("\x1b[2J", "\u202e", "東京\u0301\u0301\u0301\u0301\u0301", "\x07", -1)
	f.Add(strings.Repeat("🎉", 99), "👨‍👩‍👧", strings.Repeat("x\n", 99), "\xff", 1<<40)
	f.Fuzz(func(t *testing.T, title, subtitle, body, sound string, width int) {
		p := Presentation{AppName: title, Banner: true, Title: title, Subtitle: subtitle, Body: body, Sound: sound, ReceivedAt: epoch}
		limit := min(max(width, minDrawWidth), maxDrawWidth)
		if width <= 0 {
			limit = defaultDrawWidth
		}
		drawing := p.Draw(width)
		if !utf8.ValidString(drawing) {
			t.Errorf("drawing: not UTF-8: %q", drawing)
		}
		lines := strings.Split(strings.TrimSuffix(drawing, "\n"), "\n")
		if len(lines) > maxBodyLines+6 {
			t.Errorf("lines: got %d", len(lines))
		}
		for _, line := range lines {
			boxed := strings.HasPrefix(line, "│") || strings.HasPrefix(line, "╭") || strings.HasPrefix(line, "╰")
			if got := columns(line); got > limit || boxed && got != limit {
				t.Errorf("line %q: got %d columns, want %d", line, got, limit)
			}
			for _, r := range line {
				if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200c' {
					t.Errorf("line %q: has %U", line, r)
				}
			}
		}
	})
}
