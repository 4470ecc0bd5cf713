package console

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/trace"
)

// Explain has the console tell the stories of notifications. Nil ends it.
func (c *Console) Explain(r *trace.Recorder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trace = r
}

// chapter is a line of a story, as the page shows it.
type chapter struct {
	At       string // the time of day, UTC
	Since    string // after the line before
	Sentence string
	Other    apns.NotificationID // whose story goes with it
	Derived  bool
}

// storyView is what the page of a story is made of.
type storyView struct {
	ID    apns.NotificationID
	Day   string
	Lines []chapter
}

// story shows the story of a notification.
func (c *Console) story(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	rec := c.trace
	c.mu.Unlock()
	lines, err := rec.Story(r.Context(), apns.NotificationID(r.PathValue("id")))
	switch {
	case errors.Is(err, trace.ErrNotAnID):
		http.Error(w, "This is no apns-id. It is in the answer to each push.", http.StatusNotFound)
		return
	case err != nil:
		slog.DebugContext(r.Context(), "story was not read", slog.Any("error", err))
		http.Error(w, "The traces cannot be read now.", http.StatusServiceUnavailable)
		return
	case len(lines) == 0:
		http.Error(w, "Nothing is known of this notification, or not any more.", http.StatusNotFound)
		return
	}
	v := storyView{ID: lines[0].ID, Day: lines[0].Time.UTC().Format("2 January 2006")}
	before := lines[0].Time
	for i := range lines {
		l := &lines[i]
		ch := chapter{At: l.Time.UTC().Format("15:04:05.000000"), Sentence: l.Sentence(), Other: l.Other, Derived: l.Derived}
		if i > 0 {
			ch.Since = "+" + l.Time.Sub(before).Round(time.Microsecond).String()
		}
		v.Lines = append(v.Lines, ch)
		before = l.Time
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := pages.ExecuteTemplate(w, "trace.html", v); err != nil {
		slog.DebugContext(r.Context(), "console page was not read", slog.Any("error", err))
	}
}
