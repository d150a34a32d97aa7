// Package idb keeps a device's state in a browser's IndexedDB. Start with Open;
// OpenProfile seals the records under a key that the browser holds.
//
// One Commit is one transaction of durability "strict": the browser is asked to
// have it on the disk before it says so. The device key is wrapped by a key the
// browser does not give out (WebCrypto, not extractable): who copies the records
// alone reads nothing, but who copies the browser's whole profile, or runs script
// in this page, does. Only one worker at a time may use a profile; others are
// found out at their next Commit and change nothing.
package idb
