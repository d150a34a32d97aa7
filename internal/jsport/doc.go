// Package jsport is the little that Go in a browser needs to talk to it: waiting
// for promises and events, and moving bytes. Start with Await.
package jsport
