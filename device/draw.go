package device

import (
	"cmp"
	"fmt"
	"strings"
)

// The bounds of a drawing, in columns and lines.
const (
	minDrawWidth     = 16
	defaultDrawWidth = 60
	maxDrawWidth     = 200
	maxBodyLines     = 6
)

// Draw returns p as it would look on the screen, drawn for a terminal of the
// given width in columns, in lines that end with a newline. Zero or less stands
// for 60; the drawing is at least 16 columns wide and at most 200.
//
// The texts come from strangers: control characters, and the invisible ones
// that reorder text, never reach the terminal. Long texts end with "…".
func (p Presentation) Draw(width int) string {
	if width <= 0 {
		width = defaultDrawWidth
	}
	width = min(max(width, minDrawWidth), maxDrawWidth)
	var b strings.Builder
	if p.Banner {
		p.drawBanner(&b, width)
	}
	if line := p.drawRest(width); line != "" {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// drawBanner draws the box: name and time, title, subtitle, body.
func (p Presentation) drawBanner(b *strings.Builder, width int) {
	inner := width - 4 // without the frame and a space at each side
	b.WriteString("╭" + strings.Repeat("─", width-2) + "╮\n")
	row := func(left, right string) {
		b.WriteString("│ " + left + strings.Repeat(" ", max(0, inner-columns(left)-columns(right))) + right + " │\n")
	}
	at := ""
	if !p.ReceivedAt.IsZero() {
		at = p.ReceivedAt.Format(" 15:04")
	}
	row(fit(p.name(), inner-columns(at)), at)
	for _, heading := range []string{p.Title, p.Subtitle} {
		if line := fit(plain(heading), inner); line != "" {
			row(line, "")
		}
	}
	for _, line := range wrap(p.Body, inner, maxBodyLines) {
		row(line, "")
	}
	b.WriteString("╰" + strings.Repeat("─", width-2) + "╯\n")
}

// drawRest draws what makes no banner. Where there is one, the name of the app
// is in it.
func (p Presentation) drawRest(width int) string {
	var parts []string
	if p.Listed && !p.Banner {
		parts = append(parts, "≡ "+plain(cmp.Or(p.Title, p.Subtitle, p.Body)))
	}
	if p.Sound != "" {
		parts = append(parts, "♪ "+plain(p.Sound))
	}
	if p.Badge != nil {
		parts = append(parts, fmt.Sprintf("● %d", *p.Badge))
	}
	if p.Silent {
		parts = append(parts, "silent")
	}
	if len(parts) == 0 {
		return ""
	}
	line := strings.Join(parts, "  ")
	if !p.Banner {
		line = p.name() + "  " + line
	}
	return "  " + fit(line, width-2)
}

// name returns the name of the app, or its topic, for the terminal.
func (p Presentation) name() string {
	if n := plain(p.AppName); n != "" {
		return n
	}
	return plain(string(p.Topic))
}
