// Package client is the core of a huis device: the account it belongs to, the
// conversations it is in, what it has to send and what it received. It does no
// I/O of its own; a Store, a Dialer and a Clock are handed to it.
//
// Start with Join (a new account), Link (a further device of one) or Open (a
// profile that exists), then Sync, Send and Messages. Each step of the protocol
// is one commit to the store, made before anything is sent; several processes
// may use one profile at the same time. The rules are those of
// docs/protocol.md. The package trusts the server with nothing: what it checks
// and cannot explain becomes a *SafetyError.
package client
