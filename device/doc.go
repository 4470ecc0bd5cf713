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
// kept in Config.Dir: key and certificate, base token, registrations, what the
// user decided, and what was received lately.
//
// # What is promised
//
// With Config.Dir a notification is on the disk before the courier has the
// receipt for it, and the courier repeats it until then. It is handed to the app
// after that, and noted as handed when DidReceive has returned. So
//
//   - what the service accepted and delivered reaches the app at least once,
//     whatever is killed and whenever; an app that has not registered since the
//     process began gets it when it does;
//   - a repetition by the courier never reaches the app;
//   - after the note, a process that is killed never hands it again. In between
//     are some microseconds: a process that is killed after DidReceive returned
//     and before the note, or while it runs, hands it again when it starts, with
//     Notification.Again set. A machine that loses power may also lose the notes
//     since the last notification that was written.
//
// An app that keeps what it has done, by Notification.ID and before DidReceive
// returns, and asks for it where Again is set, therefore does all exactly once.
// Couriers other than Herald's tell no ID; SentAt is as good for one topic.
//
// Without Config.Dir a notification is acknowledged once it is in the queue to
// its app, in memory. Run empties that queue before it returns, and a process
// that is killed loses it. A repetition is recognised within the process.
//
// A registered app may also subscribe to channels, see
// [Device.SubscribeToChannel]: what is broadcast there reaches it without anybody
// knowing its device token.
//
// The package knows nothing of the push service but its bytes. What decides is
// in greeting and session, which take a frame and the time and return the
// frames to send and what is to happen; sockets, files and timers are around
// them.
package device
