// Package webapp serves the interface that is built into the program: to
// browsers that run the core themselves, and, in huis app, on loopback with the
// core behind a WebSocket.
//
// Start with Load, then NewSite or NewLocal. Everything is served under the hash
// of a manifest that names every file by its SHA-256, so that what a browser got
// can be compared with what others got. The package opens no connection.
package webapp
