// Package crash proves that nothing accepted is ever lost. Its tests run the
// whole platform over a data folder in a process of their own, push through its
// gateway to devices that are connected, away, or come and go, kill it with no
// warning again and again, or have its disk fail, and start it again. At the end
// each notification that was answered with 200 was in its app exactly once, but for
// those that a newer one of the same device and topic replaced
// (docs/protocol/provider.md#storage).
//
// The push server of an app's team is killed likewise, while it freezes, sends and
// accounts for messages to everybody, against the whole push service: what it has
// answered with 202 is taken for each installation exactly once.
//
// It holds tests only. HERALD_LONG=1 has them kill a hundred times instead of
// ten.
package crash
