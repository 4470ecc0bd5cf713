// Package agent is the program around package device: one device whose apps
// are programs of any language on the same machine. It is no part of the
// protocol; what it knows of that is the SDK.
//
// [Run] holds the device of one folder and serves a socket beside it, HTTP with
// JSON, by which programs register as apps and read their notifications as a
// stream of server-sent events (docs/device.md). An app that nobody reads for
// is kept its latest notifications, bounded in number and size, until someone
// does. Besides, each notification can be reported as an [Event], run a
// command, and go to the desktop; what is slow of these never holds up the
// others for long, and loses with a word in the log what it cannot keep up with.
//
// A folder has one process at a time. Others talk to it with a [Remote].
package agent
