// Package provider is the push server of an app's team: it knows which
// installations of the app there are, and notifies them by name.
//
// An installation is what a provider knows of an app on a device. The app
// registers it at every launch with the device token that the device gave it;
// the provider picks the credential, sends, and reads from the answer whether
// the device token is still good. It is on the far side of the wire from the
// push service, Apple's or Herald's, and shares nothing with it but bytes.
//
// Everything is in memory: there is no queue and no audience, and nothing
// outlives the process.
package provider
