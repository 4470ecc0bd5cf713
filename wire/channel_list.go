package wire

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/heraldpush/herald/apns"
)

// The list of an app's channels (docs/protocol/broadcast.md#requests):
//
//	{"channels":["dHN0LXNyY2gtY2hubA==","…"]}

// MaxChannelListBytes bounds the list that ParseChannelList looks at: it is
// room for far more channels than an app may have.
const MaxChannelListBytes = 4 << 20

// AppendChannelList appends the list of channels. It allocates only to grow b.
func AppendChannelList(b []byte, ids []apns.ChannelID) []byte {
	b = append(b, `{"channels":[`...)
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = appendJSONText(b, string(id))
		b = append(b, '"')
	}
	return append(b, "]}"...)
}

// ParseChannelList reads a list of channels, as a provider receives it. Other
// members of the object are ignored.
func ParseChannelList(body []byte) ([]apns.ChannelID, error) {
	if len(body) > MaxChannelListBytes {
		return nil, fmt.Errorf("list of channels: %d bytes, at most %d are read", len(body), MaxChannelListBytes)
	}
	var doc struct {
		Channels *[]string `json:"channels"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("list of channels: %w", err)
	}
	if doc.Channels == nil {
		return nil, errors.New("list of channels: there is none")
	}
	ids := make([]apns.ChannelID, 0, len(*doc.Channels))
	for i, s := range *doc.Channels {
		id, err := apns.ParseChannelID(s)
		if err != nil {
			return nil, fmt.Errorf("list of channels: number %d: %w", i+1, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
