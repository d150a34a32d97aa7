// Package e2e drives the real program as its users do: `huis` processes over
// real TLS on this machine, ended with kill -9 where the test wants it. Server
// and Device are the handles; the tests are the point.
//
// The binary is built once for a run, or named with -huis. What a machine does
// not permit to check is said by NotChecked, never passed over in silence.
package e2e
