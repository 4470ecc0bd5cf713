package demo

import (
	"fmt"
	"io"
	"time"
)

// tale tells what happens, as it does.
type tale struct {
	out   io.Writer
	began time.Time
}

// say writes as it is. What cannot be told does not matter to what happens.
func (t *tale) say(format string, args ...any) { _, _ = fmt.Fprintf(t.out, format, args...) }

// step begins a step, with the time since the beginning.
func (t *tale) step(title string) {
	t.say("\n%-76s %6d ms\n", title, time.Since(t.began).Milliseconds())
}

// fact adds a line to a step; one without a name continues the one before.
func (t *tale) fact(name, format string, args ...any) {
	t.say("     %-20s%s\n", name, fmt.Sprintf(format, args...))
}
