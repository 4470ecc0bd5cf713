package dev

import (
	"github.com/heraldpush/herald/console"
	"github.com/heraldpush/herald/faults"
)

// keyMagicDeviceToken begins the key of each magic device token with a name.
const keyMagicDeviceToken Key = "magic_device_token."

// MagicDeviceToken returns the key of a magic device token by its name in
// faults.MagicTokens, such as "Unregistered".
func MagicDeviceToken(name string) Key { return keyMagicDeviceToken + Key(name) }

// addMagic adds the magic device tokens.
func (v Values) addMagic() {
	for _, m := range faults.MagicTokens() {
		v[MagicDeviceToken(m.Name)] = m.Token.Hex()
	}
}

// newFaults returns the faults on demand of a run, which the console shows as
// long as there are any.
func newFaults(cfg Config, c *console.Console) (*faults.Simulator, error) {
	sim := faults.New(faults.Config{
		MagicDeviceTokens: true,
		Logger:            cfg.Logger,
		Changed: func(s faults.Status) {
			warning := ""
			if s.Plan != nil {
				warning = "Faults on demand are on. " + s.Plan.String()
			}
			c.Warn(warning)
		},
	})
	if cfg.Faults != nil {
		if _, err := sim.Put(*cfg.Faults); err != nil {
			return nil, err
		}
	}
	return sim, nil
}
