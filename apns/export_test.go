package apns

import (
	"maps"
	"slices"
)

// AllReasons returns the table of reasons for the tests of the documentation.
func AllReasons() []Reason { return slices.Sorted(maps.Keys(reasons)) }

// AllPushTypes returns the table of push types for the same.
func AllPushTypes() []PushType { return slices.Sorted(maps.Keys(pushTypes)) }
