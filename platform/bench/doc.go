// Package bench measures what a push costs: it runs servers as child processes,
// sends pushes to them over loopback, and reports what they used for it. It is
// what `herald bench` does.
//
// The gateway under test is the platform's, with all its checks, over stores in
// memory. Beside it, in the same run and in turns with it, stand servers that
// take the same requests and check nothing: what a round says is a ratio between
// them, as a figure by itself says more of the machine and its neighbours than
// of the program. docs/performance.md says what the columns mean.
//
// The courier is measured by [RunDevices] in the same way: a service over a data
// folder, devices by the thousand, which are no more of a device than a courier can
// tell, and beside the courier a loop that accepts and shakes hands, and does
// nothing else.
//
// A push server is measured by [RunProvider]: what its API takes in and what comes
// out at a gateway that accepts everything, the outbox between them on the disk.
//
// [Run], RunDevices and RunProvider are parents. Each child is this program again, told by [Config.Part]
// to call [RunPart]; they talk in lines of JSON over the child's standard input
// and output. A child ends when its standard input does, so none outlives the
// parent.
package bench
