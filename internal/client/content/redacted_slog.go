//go:build !js

package content

import "log/slog"

// What is secret prints as [redacted] in logs too. The core for browsers keeps no
// log and does not carry package slog.

func (FrankingKey) LogValue() slog.Value { return slog.StringValue("[redacted]") }
