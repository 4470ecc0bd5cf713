// Package device is the device agent: what the push daemon of an iPhone is. It
// holds one TLS connection to a courier, for all apps of a device in one
// environment, and hands each notification to the app that registered for it.
//
// It is also the SDK for programs that want to receive: the words are those of
// an iOS app. A program makes a [Device], registers its topics and lets Run do
// the rest:
//
//	d, err := device.New(device.Config{…})
//	err = d.RegisterForRemoteNotifications("com.example.demo", device.Alert|device.Sound, device.Delegate{
//		DidRegister: func(t apns.DeviceToken) { /* give t.Hex() to the provider */ },
//		DidReceive:  func(n device.Notification) { /* act on n.Payload */ },
//	})
//	err = d.Run(ctx)
//
// Run activates the device if it has no identity yet, connects, stays
// connected, and comes back after each loss. What must outlive the process is
// kept in Config.Dir: key and certificate, base token, registrations, and what
// was received lately, so that a notification that the courier repeats is
// shown once.
//
// A notification is acknowledged once it is in the queue to its app, in
// memory; Run empties that queue before it returns. It is not kept on disk: a
// process that is killed loses what stands in the queue.
//
// The package knows nothing of the push service but its bytes. What decides is
// in greeting and session, which take a frame and the time and return the
// frames to send and what is to happen; sockets, files and timers are around
// them.
package device
