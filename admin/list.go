package admin

import (
	"context"
	"fmt"
	"slices"
)

// pageSize is how many items a page of a list has at most.
const pageSize = 1000

// Page asks for a page of a list.
type Page struct {
	// After is List.Next of the page before; empty for the first.
	After string `json:"after,omitempty"`
}

// List is a page of a list.
type List[T any] struct {
	Items []T `json:"items"`
	// Next is Page.After of the next page; empty if this is the last.
	Next string `json:"next,omitempty"`
}

// All returns all pages of a list from after on, which is empty for the
// first.
func All[T any](ctx context.Context, t Target, o *Operation[Page, List[T]], after string) ([]T, error) {
	all := []T{}
	for {
		l, err := o.Call(ctx, t, Page{After: after})
		if err != nil {
			return nil, err
		}
		all = append(all, l.Items...)
		switch l.Next {
		case "":
			return all, nil
		case after:
			return nil, fmt.Errorf("list of %s: the page after %q is followed by itself", o.Path, after)
		}
		after = l.Next
	}
}

// page returns a page of all, which ascends by id.
func page[T any](all []T, p Page, id func(T) string) List[T] {
	from := 0
	if p.After != "" {
		if from = slices.IndexFunc(all, func(t T) bool { return id(t) > p.After }); from < 0 {
			from = len(all)
		}
	}
	l := List[T]{Items: append([]T{}, all[from:min(len(all), from+pageSize)]...)}
	if from+len(l.Items) < len(all) {
		l.Next = id(l.Items[len(l.Items)-1])
	}
	return l
}
