package device

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// permissionDocument is a permission in device.json.
type permissionDocument struct {
	Topic  apns.Topic `json:"topic"`
	Status string     `json:"status"`
	// Types is the String of NotificationTypes.
	Types           string `json:"types"`
	Critical        bool   `json:"critical,omitempty"`
	NoTimeSensitive bool   `json:"no_time_sensitive,omitempty"`
	NoBackground    bool   `json:"no_background,omitempty"`
}

// doNotDisturbDocument is in device.json while do-not-disturb is on.
type doNotDisturbDocument struct {
	Until time.Time `json:"until,omitzero"`
}

// permissionDocuments returns what the user decided, by topic.
func (m *memory) permissionDocuments() (docs []permissionDocument, quiet *doNotDisturbDocument) {
	for topic, p := range m.permissions {
		docs = append(docs, permissionDocument{
			Topic: topic, Status: p.Status.String(), Types: p.Types.String(),
			Critical: p.Critical, NoTimeSensitive: p.NoTimeSensitive, NoBackground: p.NoBackground,
		})
	}
	slices.SortFunc(docs, func(a, b permissionDocument) int { return strings.Compare(string(a.Topic), string(b.Topic)) })
	if m.quiet.on {
		quiet = &doNotDisturbDocument{Until: m.quiet.until}
	}
	return docs, quiet
}

// restorePermissions takes what the user decided as it was written.
func (m *memory) restorePermissions(docs []permissionDocument, quiet *doNotDisturbDocument) error {
	for _, d := range docs {
		status, err := ParseAuthorizationStatus(d.Status)
		if err != nil || status == NotDetermined || !d.Topic.Valid() {
			return fmt.Errorf("permission of %.80q: not a topic, or no decision", string(d.Topic))
		}
		types, err := ParseNotificationTypes(d.Types)
		if err != nil {
			return fmt.Errorf("permission of %s: %w", d.Topic, err)
		}
		m.permissions[d.Topic] = Permission{
			Status: status, Types: types,
			Critical: d.Critical, NoTimeSensitive: d.NoTimeSensitive, NoBackground: d.NoBackground,
		}
	}
	if quiet != nil {
		m.quiet = doNotDisturb{on: true, until: quiet.Until}
	}
	return nil
}
