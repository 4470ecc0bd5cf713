package account

// Turn is that an answer of a gateway changes what a credential has come to in an
// environment: it is proven now, or refused, or refused for another reason.
type Turn struct {
	Credential Credential // as it is before
	Was, Now   Standing
}

// turn returns what an answer changes between before and after, and whether that is
// one.
func turn(before, after *Credential, a Answer) (Turn, bool) {
	t := Turn{Credential: before.clone(), Was: before.Standing(a.Environment), Now: after.Standing(a.Environment)}
	return t, t.Now.Proven() != t.Was.Proven() || t.Now.Reason != t.Was.Reason
}
