package apns

// InterruptionLevel is how much a notification may disturb the user, the
// interruption-level of a payload (docs/protocol/provider.md#payload). Empty
// stands for InterruptionActive.
type InterruptionLevel string

// The interruption levels.
const (
	// InterruptionPassive goes to the list of notifications, without a sound
	// and without a banner.
	InterruptionPassive InterruptionLevel = "passive"
	// InterruptionActive is shown and heard at once, unless the user does not
	// want to be disturbed.
	InterruptionActive InterruptionLevel = "active"
	// InterruptionTimeSensitive is shown and heard even then, if the user lets
	// the app do that.
	InterruptionTimeSensitive InterruptionLevel = "time-sensitive"
	// InterruptionCritical is too, and also where the device is mute; only for
	// apps that the user lets.
	InterruptionCritical InterruptionLevel = "critical"
)

// Known reports whether l is one of the levels above.
func (l InterruptionLevel) Known() bool {
	switch l {
	case InterruptionPassive, InterruptionActive, InterruptionTimeSensitive, InterruptionCritical:
		return true
	}
	return false
}
