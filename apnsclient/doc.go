// Package apnsclient sends notifications to a gateway, Apple's or Herald's: one
// [Sender] for a credential in an environment, and one call, Push.
//
//	tokens, err := apnsclient.LoadKey("AuthKey_2X9R4HXF34.p8", "ABCDE12345", "")
//	…
//	sender, err := apnsclient.New(apnsclient.Config{Environment: apns.Production, ProviderTokens: tokens})
//	…
//	defer sender.Close()
//	phone, err := apnsclient.ParseDeviceToken("740f4707 bebcf74f 9b7c25d4 8e335894 5f6aa01d a5ddb387 462c7eaf 61bb78ad")
//	…
//	receipt, err := sender.Push(ctx, phone, apns.Notification{Topic: "com.example.demo", Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`)})
//
// It is a library, not a server: it keeps no notification and decides nothing
// about device tokens. What it does take care of is the road to the gateway: the
// connections, as many as the pushes need and the gateway takes, their health and
// their replacement; provider tokens and certificates, and their renewal; the
// gateway's limits; what may be sent again; and a deadline on every push.
//
// # The life of a push
//
// [Sender.Push] completes the notification (apns-id, push type), checks what can be
// known without the gateway, and waits for a connection with room. There the
// push is posted; it comes back with an answer, or with the news that the gateway
// never began with it, upon which it goes again at once. What the gateway has no
// time for is tried again after a pause, as [Retry] says. The result is a [Receipt], or
// an error that says what may be done next.
//
// Package payload, below this one, builds the JSON document.
//
// # Credentials
//
// A key signs for all apps of a team, and does not expire. [LoadKey] reads it from
// its .p8 file, and [NewProviderTokens] takes one from anywhere else. Share the
// [ProviderTokens] between all senders that use the key, also those of the other
// environment: the service counts how often they change. A certificate is for one
// app and ends after 13 months, see [Sender.CertificateExpires]:
//
//	certificate, err := apnsclient.LoadCertificate("push.p12", password)
//	…
//	sender, err := apnsclient.New(apnsclient.Config{Environment: apns.Production, CertificateFile: certificate})
//
// Both files are read again when they were replaced. One that cannot be read does
// no harm: what was read before it stays in use, and OnChange is told.
//
// A process that sends for many teams keeps their senders in a [Pool].
//
// # Many pushes
//
// Any number of goroutines may call Push. [Sender.PushAll] sends what an iterator
// yields, with little memory and no goroutine for each push, and yields the results.
// Marshal a payload once, and give the same Notification with each device token.
//
// A gateway says how many pushes it takes at a time on a connection, most
// often 1000. Config.Connections bounds the connections, and Config.MaxPending how many
// pushes may wait; a push beyond that waits for a place, or with Config.FailFast
// ends at once.
//
// # Broadcasts
//
// [Channels] makes and deletes the channels of an app, and [Sender.Broadcast] sends to
// all devices that follow one.
//
// # Errors
//
// [OutcomeOf] says in one word what an error means, and errors.As what it holds:
//
//	outcome          error                what to do
//
//	Accepted         nil                  nothing. It is no proof of delivery
//	Invalid          *CheckError          mend the push, as the text says. It was not sent
//	Rejected         *apns.Rejection      mend the push: the reason says what is wrong
//	TokenGone        *apns.Rejection      forget the device token, unless the app gave it to
//	                                      you again after the rejection's Since
//	ProviderFault    *apns.Rejection,     mend the credential or the topic: no push goes
//	                 *CertificateError    through until then
//	RetryLater       *apns.Rejection      send it again after RetryAfter
//	ConnectionFault  *UnsentError         send it again whenever you like. It never reached
//	                                      the gateway
//	Unknown          *UnansweredError     it may have been delivered. Send it again with the
//	                                      same ID, or not at all
//
// The errors of Channels are each a [*ChannelError] around one of these. An
// *UnsentError wraps why: a [*ProxyError], a *tls.CertificateVerificationError,
// context.DeadlineExceeded, [ErrClosed] and others.
//
// errors.Is finds a reason, whether the gateway said it or a check did:
// errors.Is(err, apns.Reject(apns.PayloadTooLarge, "")).
//
// # What is sent again
//
// A push that the gateway has not begun with, by its own word, is sent again in any
// case. After TooManyRequests, an internal error or an overload it is tried again,
// up to [Retry].Attempts times and within its Timeout, after a random pause that is
// not shorter than the gateway asked for; and a budget over all pushes sees to it
// that a service in trouble is not sent several times as much. A push that was
// sent and not answered is not sent again, unless Retry.Unanswered says so: it might
// arrive twice. And nothing is sent again that the gateway refused for good.
//
// # Proxies and other roads
//
// Config.Proxy is an HTTP or SOCKS5 proxy; [ProxyFromEnvironment] finds the one that
// the process is to use. TLS is verified to the gateway's name, whatever the road.
// Without a proxy, connections are spread over all addresses of the gateway, and where
// one leads nowhere the next is tried. For another gateway than Apple's, set Host, and
// its authority in Roots.
//
// # What happens meanwhile
//
// [Hooks] are told of every attempt and of every connection that comes and goes;
// [Sender.Stats] is the state of the moment. [ProviderTokens.ClockSkew] says how
// far this machine's clock is off, where a gateway complained.
package apnsclient
