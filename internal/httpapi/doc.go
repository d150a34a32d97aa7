// Package httpapi is the server's interface: package proto over HTTP and
// WebSocket, with its limits. The native client end is package httpapi/dial.
package httpapi
