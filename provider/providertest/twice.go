package providertest

import "testing"

// twice runs check on a store, and again when it was opened again, which again does; nil
// is that of a store that cannot be.
func twice[S any](t *testing.T, store *S, again func() S, check func(t *testing.T)) {
	t.Helper()
	check(t)
	if again != nil {
		*store = again()
		check(t)
	}
}
