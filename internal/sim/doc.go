// Package sim runs many real client cores against the real server on one fake
// clock, with seeded randomness and a network that loses, delays, repeats,
// reorders and cuts, while clients and server are killed at their store writes.
//
// Start reading at World (world.go): it owns the scheduler (sched.go), the
// server (server.go), the devices (device.go), the network between them
// (net.go) and the lying server that can stand in that network (liar.go).
// After a run World.Evidence gathers what the server holds, what every device
// shows and what every AEAD was called with, and Check (check.go) judges it
// against a model that knows nothing of the code under test.
//
// One goroutine runs at any moment and every choice comes from the seed, so a
// run is repeated by its seed alone: go test ./internal/sim -run TestSim -seed N.
//
// What it does not do: real sockets, TLS, real disks, real time. The end-to-end
// tests of the commands have those.
package sim
