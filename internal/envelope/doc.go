// Package envelope keeps secrets unreadable at rest. Each is encrypted with a
// data key of its own, made for it and used once; the data key is encrypted
// with the master key of the platform, whose ID stands beside it. So a new
// master key costs a new wrapping of data keys ([Sealer.Rewrap]), and who has
// the store alone has nothing.
//
// An envelope is
//
//	offset  0   "hrd1": what it is, and the version
//	        4   ID of the master key, 8 bytes
//	       12   nonce of the data key, 12 bytes
//	       24   data key, encrypted: 32 bytes, and a tag of 16
//	       72   nonce of the secret, 12 bytes
//	       84   the secret, encrypted: as many bytes as it has, and a tag of 16
//
// Both are AES-256-GCM with random nonces. What is authenticated besides is the
// version, with the ID of the master key for the data key, and with the context
// for the secret: an envelope that is put in the place of another does not open.
package envelope
