// Package provide runs an app team's push server for good: provider, API and
// metrics on a data folder.
//
// The folder is made at the first start (platform/folder says what it holds).
// That start also makes an API key with which everything can be done. It is
// written to [AdminKeyFile] in the folder, for the verbs on the same machine, and
// told to whoever starts the server this once. Whoever has the folder can have such
// a key at any time: without a good one in that file, the next start makes another,
// and revokes the one before.
//
// [Run] is all: folder in, push server out, until its context ends. Then the
// listeners close, requests under way are answered, and what was handed to the
// push service is waited for; what waits is in the folder.
package provide
