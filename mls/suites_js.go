//go:build js

package mls

// addStandardSuites adds nothing: in a browser there is this package's own suite.
func addStandardSuites(map[CipherSuite]*algorithms) {}

var draftSuites map[DraftSuite]draftRow
