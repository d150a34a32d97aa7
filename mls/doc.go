// Package mls is the Messaging Layer Security protocol, RFC 9420: group key
// agreement and message protection for two to many thousands of members.
//
// Start with [NewKeyPackage] and [NewGroup] or [Join]; then [Group.Commit],
// [Group.Process], [Group.Merge] and [Group.Protect]. An epoch is immutable:
// creating or processing a commit changes nothing until it is merged. Each
// operation returns the [Delta] the caller stores in one transaction.
//
// The package does no I/O, reads no clock and starts no goroutine; time is an
// argument. Suites 4 and 6 (X448, Ed448) and the ML-DSA suites of the
// post-quantum draft answer [ErrUnsupportedSuite], because the standard library
// has none of their primitives. ChaCha20-Poly1305, which the library does not
// export, comes from golang.org/x/crypto; nothing else is not its own. Authenticating credentials, delivering messages
// in one order and keeping state are the application's part.
package mls

// ProtocolVersion is the version of MLS (RFC 9420, Section 6).
type ProtocolVersion uint16

// MLS10 is the only version there is.
const MLS10 ProtocolVersion = 1

// LeafIndex numbers the leaves of the ratchet tree from the left, blank ones
// included (RFC 9420, Section 4.1.1).
type LeafIndex uint32
