// Package web holds the built interface: dist as it is committed, core as `make`
// builds it. Package webapp serves it; see Files.
package web

import "embed"

// Files has dist/… and core/…; without a built core that folder has no more
// than its README.
//
//go:embed all:dist all:core
var Files embed.FS
