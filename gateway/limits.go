package gateway

import (
	"errors"
	"time"
)

// Limits bound what a gateway puts up with from a provider that breaks no rule of
// a single request (docs/protocol/provider.md#limits). The zero value has none of
// them. ProductionLimits and DevelopmentLimits are the two sets that Herald
// runs with.
type Limits struct {
	// ProviderTokenInterval is how long a connection is to use a provider token
	// before it comes with a new one. Zero means that it may come with as many as it likes.
	ProviderTokenInterval time.Duration
	// ProviderTokenTolerance is how many provider tokens may come earlier than
	// that and are taken all the same, before TooManyProviderTokenUpdates. Zero
	// means none.
	ProviderTokenTolerance int

	// DeviceBurst is how many notifications may go to one device token at once,
	// at most 1,000,000; the next ones are TooManyRequests. Zero means any number.
	DeviceBurst int
	// DeviceInterval is the time after which one more may, at most an hour. Zero
	// means one second.
	DeviceInterval time.Duration

	// ChannelBurst is how many messages may be broadcast at once on a channel that
	// stores the latest, at most 100,000; the next ones are TooManyRequests. On one
	// that stores none it is ten times as many, and ten times as fast. Zero
	// means any number.
	ChannelBurst int
	// ChannelInterval is the time after which one more may, at most an hour. Zero
	// means one second.
	ChannelInterval time.Duration

	// SlowShare is the share of refusals, from 0 to 1, with which a connection is
	// slowed down to one stream, until the next push is accepted. Zero means never.
	SlowShare float64
	// SlowWindow is the time in which the share is reached. Zero means 10 seconds.
	SlowWindow time.Duration
	// SlowAnswers is how many answers it takes for a share to say anything. Zero
	// means 20.
	SlowAnswers int

	// MaxRefusals is how many refusals end a connection; each push that is
	// accepted makes up for one. Zero means that none do.
	MaxRefusals int
	// MaxBadDeviceTokens is the same for those that are BadDeviceToken.
	MaxBadDeviceTokens int
}

// ProductionLimits are those of a service that many rely on.
func ProductionLimits() Limits {
	l := DevelopmentLimits()
	l.DeviceBurst, l.DeviceInterval = 60, time.Second
	l.ChannelBurst, l.ChannelInterval = 60, time.Second
	l.SlowShare, l.SlowWindow, l.SlowAnswers = 0.5, 10*time.Second, 20
	l.MaxRefusals, l.MaxBadDeviceTokens = 1000, 100
	return l
}

// DevelopmentLimits are those of a service on which things are tried out: pushes
// may be refused a hundred times in a row, and the one device may be flooded. What
// would be wrong with a provider on any day is still said.
func DevelopmentLimits() Limits {
	return Limits{ProviderTokenInterval: 20 * time.Minute, ProviderTokenTolerance: 3}
}

// Bounds of a limit, so that the sums made with them cannot overflow.
const (
	maxDeviceBurst    = 1_000_000
	maxDeviceInterval = time.Hour

	maxChannelBurst    = maxDeviceBurst / storelessFactor
	maxChannelInterval = maxDeviceInterval
)

// storelessFactor is how many times as much may be broadcast on a channel that
// stores no message.
const storelessFactor = 10

// withDefaults returns l with each zero value that has a meaning replaced by it,
// or says what is out of range.
func (l Limits) withDefaults() (Limits, error) {
	if min(l.ProviderTokenInterval, l.DeviceInterval, l.ChannelInterval, l.SlowWindow) < 0 ||
		min(l.ProviderTokenTolerance, l.DeviceBurst, l.ChannelBurst, l.SlowAnswers, l.MaxRefusals, l.MaxBadDeviceTokens) < 0 {
		return l, errors.New("gateway: a limit is negative")
	}
	if l.DeviceBurst > maxDeviceBurst || l.DeviceInterval > maxDeviceInterval {
		return l, errors.New("gateway: DeviceBurst is at most 1,000,000, DeviceInterval an hour")
	}
	if l.ChannelBurst > maxChannelBurst || l.ChannelInterval > maxChannelInterval {
		return l, errors.New("gateway: ChannelBurst is at most 100,000, ChannelInterval an hour")
	}
	if !(l.SlowShare >= 0 && l.SlowShare <= 1) { // NaN is neither
		return l, errors.New("gateway: SlowShare is from 0 to 1")
	}
	if l.DeviceInterval == 0 {
		l.DeviceInterval = time.Second
	}
	if l.ChannelInterval == 0 {
		l.ChannelInterval = time.Second
	}
	if l.SlowWindow == 0 {
		l.SlowWindow = 10 * time.Second
	}
	if l.SlowAnswers == 0 {
		l.SlowAnswers = 20
	}
	return l, nil
}
