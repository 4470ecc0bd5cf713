// Package platform puts Herald together: configuration in, running system
// out. Every room, store and door is made and wired here, by parameters, and
// nowhere else.
//
// A [Platform] is opened over its stores, serves on the listeners it is given,
// and is closed: [Open], [Platform.Serve], [Platform.Close]. [Platform.Develop]
// does what a developer does once at the portal before the first push.
package platform
