// Package scripted is a push gateway that does as it is told: in the memory of a
// test, or on a port of this machine. It is made to find out what a library that
// sends pushes does when the service is slow, full, gone or wrong: any library,
// not only Herald's.
//
//	g := scripted.New(t)
//	g.Reply(scripted.Refuse(apns.Unregistered).Since(then))
//	… push by way of g.Dial, trusting g.Roots() …
//	got := g.Pushes()
//
// It is not a push service: nothing is checked, nothing is delivered. For one that
// checks and delivers, take package apnstest.
//
// # How a push is answered
//
// A [Reply] says it. [Accept], [Refuse], [Status], [Silence], [RefuseStream] and
// [Break] are the beginnings; methods go on from there:
//
//	scripted.Refuse(apns.TooManyRequests).RetryAfter(time.Minute)
//	scripted.Accept().Delay(20 * time.Millisecond)
//	scripted.Accept().Unanswered() // processed, and the sender never hears of it
//	scripted.Status(502, "").Body("<html>Bad Gateway")
//
// [Gateway.Reply] sets the replies for all pushes in order, [Gateway.ReplyTo] those for one
// device token, and with [Gateway.OnPush] a function decides.
//
// # How a connection goes
//
// A [Script] says it: its handshake, its SETTINGS, how fast it is read, and [Step] by
// step what happens on the way. So begins the service with who comes with a
// provider token, and so it ends:
//
//	g.Script(scripted.Script{
//		Streams: 1,
//		Steps: []scripted.Step{
//			{Accepted: 1, Do: scripted.Streams(1000)},
//			{Pushes: 5000, Do: scripted.GoAway{}},
//		},
//	})
//
// With [Gateway.OnConnect] a function decides for each connection, and [Gateway.Do] does
// something to all that are open now.
//
// # What became of it
//
// [Gateway.Pushes] returns all pushes with their header fields, and the [Fate] of each.
// A push is processed when the gateway took it as accepted, whether or not the
// answer reached the sender; those above the last stream of a GOAWAY or reset with
// REFUSED_STREAM never are. [Gateway.Processed] counts that for each device token and
// apns-id, which proves that none was lost and none doubled. [Gateway.Counts] has the
// sums, and [Gateway.Await] waits for them.
//
// For long runs, [Gateway.Weather] has things go wrong at random, and again
// in the same way with the same seed.
//
// What a client does against the rules of HTTP/2 is in [Gateway.Violations], and
// fails the test unless [Config.Lenient] says otherwise: more streams than
// the limit it has acknowledged, DATA beyond a window, a new stream after it has
// read GOAWAY, a content-length that is not that of the body, and what the framing
// forbids.
//
// # Time
//
// All waiting is on channels, timers and the connections. So in memory the gateway
// works inside a testing/synctest bubble, where a delay of an hour costs nothing.
// Outside of tests, [Config.Start] starts one, and [Gateway.Close] ends it and all its
// goroutines.
package scripted
