package wire

// TaskNotification belongs to the same service as TaskControl, command 25, and
// has the same items (docs/protocol/courier.md#obsolete).
type TaskNotification TaskControl

// ParseTaskNotification reads the payload of a TaskNotification frame. It fails
// with a MalformedError alone.
func ParseTaskNotification(payload []byte) (TaskNotification, error) {
	m, err := parseTask(payload, CommandTaskNotification)
	return TaskNotification(m), err
}

// Append appends m to b as a whole frame.
func (m TaskNotification) Append(b []byte) []byte {
	return TaskControl(m).append(b, CommandTaskNotification)
}
