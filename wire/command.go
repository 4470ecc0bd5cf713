package wire

import "strconv"

// Command is the first byte of a courier frame: which message it holds.
type Command uint8

// The commands (docs/protocol/courier.md#commands). D→S is from the device to
// the courier, S→D from the courier to the device.
const (
	CommandConnect           Command = 7  // D→S
	CommandConnectAck        Command = 8  // S→D
	CommandFilter            Command = 9  // D→S
	CommandNotification      Command = 10 // S→D Notification, D→S SendMessage
	CommandAck               Command = 11 // D→S Ack, S→D SendMessageAck
	CommandKeepAlive         Command = 12 // D→S
	CommandKeepAliveResponse Command = 13 // S→D
	CommandNoStorage         Command = 14 // S→D
	CommandFlush             Command = 15 // both
	CommandFlushResponse     Command = 16 // both
	CommandAppToken          Command = 17 // D→S
	CommandAppTokenResponse  Command = 18 // S→D
	CommandSetActiveInterval Command = 19 // D→S
	CommandSetActiveState    Command = 20 // D→S
	CommandTransportAck      Command = 21 // D→S
	CommandKeepAliveAck      Command = 22 // S→D
	CommandRedirect          Command = 23 // S→D
	CommandTaskControl       Command = 24 // both, obsolete
	CommandTaskNotification  Command = 25 // both, obsolete
	CommandTracingAck        Command = 27 // D→S
	CommandChannels          Command = 29 // both
	CommandChannelUpdate     Command = 30 // S→D
	CommandPresence          Command = 32 // both
	CommandFilterUpdate      Command = 33 // S→D
	CommandCancelKeepAlive   Command = 34 // S→D
)

// commandNames lists the known commands by number.
var commandNames = [...]string{
	CommandConnect:           "Connect",
	CommandConnectAck:        "ConnectAck",
	CommandFilter:            "Filter",
	CommandNotification:      "Notification",
	CommandAck:               "Ack",
	CommandKeepAlive:         "KeepAlive",
	CommandKeepAliveResponse: "KeepAliveResponse",
	CommandNoStorage:         "NoStorage",
	CommandFlush:             "Flush",
	CommandFlushResponse:     "FlushResponse",
	CommandAppToken:          "AppToken",
	CommandAppTokenResponse:  "AppTokenResponse",
	CommandSetActiveInterval: "SetActiveInterval",
	CommandSetActiveState:    "SetActiveState",
	CommandTransportAck:      "TransportAck",
	CommandKeepAliveAck:      "KeepAliveAck",
	CommandRedirect:          "Redirect",
	CommandTaskControl:       "TaskControl",
	CommandTaskNotification:  "TaskNotification",
	CommandTracingAck:        "TracingAck",
	CommandChannels:          "Channels",
	CommandChannelUpdate:     "ChannelUpdate",
	CommandPresence:          "Presence",
	CommandFilterUpdate:      "FilterUpdate",
	CommandCancelKeepAlive:   "CancelKeepAlive",
}

// Known reports whether c is a command that this version has a name for. A
// courier ignores the others: newer devices send what older couriers do not
// know.
func (c Command) Known() bool { return int(c) < len(commandNames) && commandNames[c] != "" }

// String returns the name of c, or its number.
func (c Command) String() string {
	if !c.Known() {
		return "Command(" + strconv.Itoa(int(c)) + ")"
	}
	return commandNames[c]
}
