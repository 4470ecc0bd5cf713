package sqlite

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
)

// BenchmarkUpdate stores records, durably, by as many writers as its name
// says.
func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 16, 256} {
		b.Run(strconv.Itoa(writers), func(b *testing.B) {
			d := open(b, newPath(b))
			body := []byte(`{"what": "about as much as a record of a device or an app has to say of itself"}`)
			var (
				writing sync.WaitGroup
				next    atomic.Int64
			)
			b.ResetTimer()
			for range writers {
				writing.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						err := d.Portal().Update(b.Context(), func(tx portal.Tx) error {
							return tx.Put("bench", fmt.Sprint(n%10_000), body)
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			writing.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// BenchmarkException is the one question to this store that every push asks.
func BenchmarkException(b *testing.B) {
	r := open(b, newPath(b)).Registry()
	a := apns.Address{Device: 1, Environment: apns.Sandbox, Topic: apns.Topic("com.example.demo").Hash()}
	for b.Loop() {
		if _, err := r.Exception(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
}
