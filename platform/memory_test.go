package platform

import "testing"

func TestThreads(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		processors, used, want int
	}{
		{"one processor", 1, 1, leastThreads},
		{"two", 2, 2, leastThreads},
		{"enough of them", 64, 64, 64},
		{"a part of a machine", 64, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := threads(tt.processors, tt.used); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
