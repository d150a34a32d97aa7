// Package fetch is the browser's client end of the server's interface: a
// client.Transport over fetch and WebSocket, to the server the page came from.
// Start with Dialer.
//
// The browser decides about certificates and connections. Requests that name the
// account go with the credentials mode "same-origin", those that name
// conversations with "omit": browsers keep connections of the two modes apart as
// far as they do that at all. There are no cookies in either.
package fetch
