// Package rpc is how an interface talks to the client core: the same calls in a
// browser, where the core runs in a Worker, and over a loopback WebSocket, where
// the core is the program itself.
//
// Start with NewCore, which holds the device, and Core.Serve, which answers one
// connection. The types of types.go and the tables of methods.go are the source
// of web/src/core/types.ts; a test fails when that file differs.
//
// A call has an id that the interface draws; ok or err with that id ends it, and
// cancel asks for that. While it runs both sides may send events with the call's
// id: progress, and pieces of files. Events with id 0 belong to no call. No
// private key and no secret of a ratchet crosses, except the recovery key, which
// is made to be shown.
//
// What the core says to a person crosses as a Sentence: a code and what stands in
// its places (sentences.go). Interfaces have words for every code.
//
// After a change of types run `go generate ./internal/rpc`, which writes how they
// cross (json.go), and `go test ./internal/rpc -run TypeScript -update`.
package rpc

//go:generate go run ./fieldgen
