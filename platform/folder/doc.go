// Package folder is the data folder of a platform, or of a provider: everything
// that it must still know tomorrow, and nothing else knows where it lies.
//
//	herald.json   whose folder it is, and of which version; written last
//	lock          held by the process that has the folder open
//	master.key    what the secrets in herald.db are sealed with
//	herald.db     the stores of portal and registry, SQLite
//	spool/        the store of the spool, Pebble: what waits for devices
//	outbox/       in a provider's folder, in place of spool: what is to be sent
//	run.json      how to reach the platform, while one runs
//	unfinished    what was made so far, until herald.json is there
//
// The folder has mode 0700, and all of these files have 0600, but for those in
// spool, which nobody else reaches. Whoever opens it
// may keep files of their own there, with [Folder.Write].
//
// A service manager may hold the master key instead: if it gave the process a
// credential herald-master-key (a file in the folder that
// CREDENTIALS_DIRECTORY names, as systemd does), there is no master.key.
//
// A backup of the portal has what is in herald.db, and none of spool: what waits
// for devices is theirs for a while. In a folder without spool it is made, empty.
//
// A [Folder] begins with [Create] and [Folder.Finish], or with [Open], and ends
// with [Folder.Close]. Until it is finished it is nobody's: Close takes back
// what was made, and so does the next Create after a kill. Other processes read
// how to reach the one that has it open by [ReadRun].
package folder
