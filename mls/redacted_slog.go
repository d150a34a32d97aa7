//go:build !js

package mls

import "log/slog"

// What is secret prints as [redacted] in logs too. The core for browsers keeps no
// log and does not carry package slog.

func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
func (redact) LogValue() slog.Value { return slog.StringValue(redacted) }
