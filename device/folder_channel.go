package device

import (
	"errors"

	"github.com/heraldpush/herald/apns"
)

// channelDocument is a subscription in device.json.
type channelDocument struct {
	ID         apns.ChannelID `json:"id"`
	Checkpoint uint64         `json:"checkpoint"`
}

// channelDocuments returns the subscriptions of an app.
func (a *app) channelDocuments() (docs []channelDocument) {
	m := memory{apps: map[apns.TopicHash]*app{{}: a}}
	for _, s := range m.subscriptions() {
		docs = append(docs, channelDocument{s.channel, s.checkpoint})
	}
	return docs
}

// restoreChannels adds subscriptions as they were written.
func (a *app) restoreChannels(docs []channelDocument) error {
	if len(docs) > MaxChannels {
		return errors.New("too many channels")
	}
	for _, d := range docs {
		if _, err := apns.ParseChannelID(string(d.ID)); err != nil {
			return err
		}
		a.follow(d.ID, d.Checkpoint)
	}
	return nil
}
