package device

import (
	"fmt"
	"strings"
)

// NotificationTypes is what an app asks to be allowed when it registers, with
// the bits of Apple's UIRemoteNotificationType. Zero asks for nothing that the
// user would notice; the app still receives its notifications.
type NotificationTypes uint8

// The notification types.
const (
	// Badge lets the app's icon carry a number.
	Badge NotificationTypes = 1 << 0
	// Sound lets the device play a sound.
	Sound NotificationTypes = 1 << 1
	// Alert lets the device show a banner.
	Alert NotificationTypes = 1 << 2
)

// typeNames lists the types in the order in which String names them.
var typeNames = [...]struct {
	bit  NotificationTypes
	name string
}{{Alert, "alert"}, {Sound, "sound"}, {Badge, "badge"}}

// String names the types, such as "alert, sound, badge"; none is "none".
func (t NotificationTypes) String() string {
	var names []string
	for _, n := range typeNames {
		if t&n.bit != 0 {
			names, t = append(names, n.name), t&^n.bit
		}
	}
	if t != 0 {
		names = append(names, fmt.Sprintf("NotificationTypes(%d)", uint8(t)))
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

// ParseNotificationTypes reads what String writes: names with commas between
// them, spaces allowed, or "none".
func ParseNotificationTypes(s string) (NotificationTypes, error) {
	if strings.TrimSpace(s) == "none" {
		return 0, nil
	}
	var t NotificationTypes
next:
	for word := range strings.SplitSeq(s, ",") {
		for _, n := range typeNames {
			if n.name == strings.TrimSpace(word) {
				t |= n.bit
				continue next
			}
		}
		return 0, fmt.Errorf("notification types %q: want alert, sound and badge with commas between, or none", s)
	}
	return t, nil
}

// valid reports whether t has no bit that is not a type.
func (t NotificationTypes) valid() bool { return t&^(Badge|Sound|Alert) == 0 }
