package trace

import (
	"context"
	"time"
)

// memory keeps records in memory alone: the latest ones.
type memory struct {
	maxAge    time.Duration
	pageBytes int // of a page, a multiple of recordBytes
	maxPages  int
	pages     []*page // the oldest first
}

// page is a chapter of memory. Records are only ever added at the end, so that
// a part of it can be read meanwhile.
type page struct {
	span
	records []byte
}

func newMemory(maxBytes int64, maxAge time.Duration) *memory {
	const pages = 32
	perPage := int(maxBytes / pages / recordBytes)
	return &memory{maxAge: maxAge, pageBytes: perPage * recordBytes, maxPages: pages}
}

func (m *memory) add(records []byte, _ time.Time) error {
	for len(records) > 0 {
		p := m.open()
		part := records[:min(len(records), m.pageBytes-len(p.records))]
		p.cover(part, int64(len(p.records)))
		p.records = append(p.records, part...)
		records = records[len(part):]
	}
	return nil
}

// open returns the page that has room.
func (m *memory) open() *page {
	if n := len(m.pages); n > 0 && len(m.pages[n-1].records) < m.pageBytes {
		return m.pages[n-1]
	}
	if len(m.pages) == m.maxPages {
		m.pages[0] = nil
		m.pages = m.pages[1:]
	}
	p := &page{records: make([]byte, 0, m.pageBytes)}
	m.pages = append(m.pages, p)
	return p
}

func (m *memory) prune(now time.Time) time.Time {
	for len(m.pages) > 0 {
		over := time.Unix(0, m.pages[0].last).Add(m.maxAge)
		if now.Before(over) {
			return over
		}
		m.pages[0] = nil
		m.pages = m.pages[1:]
	}
	m.pages = nil
	return time.Time{}
}

func (m *memory) chapters() []chapter {
	all := make([]chapter, len(m.pages))
	for i, p := range m.pages {
		all[i] = page{p.span, p.records}
	}
	return all
}

func (m *memory) bytes() (n int64) {
	for _, p := range m.pages {
		n += int64(cap(p.records))
	}
	return n
}

func (*memory) close() {}

func (p page) times() (first, last int64) { return p.first, p.last }

// mayHave implements chapter: memory is read faster than a filter is made.
func (page) mayHave([]key) (bool, error) { return true, nil }

func (p page) each(ctx context.Context, f func(records []byte) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return f(p.records)
}
