package payload

import "github.com/heraldpush/herald/apns"

// Wallet returns the payload that has a device fetch its passes anew. The topic
// is the pass type identifier.
func Wallet() apns.Payload { return apns.Payload("{}") }

// MDM returns the payload that has a managed device ask its management for
// commands. The push magic is what the device gave when it was enrolled. The error
// is a *FieldError.
func MDM(pushMagic string) (apns.Payload, error) {
	var o object
	if pushMagic == "" {
		o.refuse("mdm", "the push magic is missing", "give the one from the device's TokenUpdate")
	}
	o.text("mdm", pushMagic)
	return o.end()
}

// FileProvider returns the payload that has an app's file provider look for
// changes in a container, such as the identifier of the working set or of an item.
// The domain is required where the app has added domains of its own, and may be
// empty where not. The error is a *FieldError.
func FileProvider(container, domain string) (apns.Payload, error) {
	var o object
	if container == "" {
		o.refuse("container-identifier", "it is missing", "give the identifier of the container that changed")
	}
	o.text("container-identifier", container)
	o.text("domain", domain)
	return o.end()
}
