// Package account is the provider's room of who may do what: its apps, the
// credentials with which their notifications go out, the API keys of those who
// may ask for that, and the log of what was changed.
//
// A [Book] has it all, over a [Store]. What is asked for with every push is in
// memory; the private keys of credentials are not: they are sealed in the store,
// and opened when they are needed.
//
// The life of a [Credential]: it is uploaded as a .p12, .pem or .p8 file, and read
// at once, so that what cannot do the work is refused. It is proven in an
// environment by the first answer of a gateway that blames something else, or
// nothing ([Credential.After]); [Choose] says which of several to use. One that
// replaces another takes its place when it is proven for all the other is for, and
// not before. [Expiries] says of which the end is near.
package account
