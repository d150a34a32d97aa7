//go:build !js

package kt

import "log/slog"

// What is secret prints as [redacted] in logs too. The core for browsers keeps no
// log and does not carry package slog.

func (ChainKey) LogValue() slog.Value    { return slog.StringValue(redacted) }
func (RecoveryKey) LogValue() slog.Value { return slog.StringValue(redacted) }
func (AccountID) LogValue() slog.Value   { return slog.StringValue(redacted) }
func (DeviceID) LogValue() slog.Value    { return slog.StringValue(redacted) }
func (PolicyKey) LogValue() slog.Value   { return slog.StringValue(redacted) }
func (*NoteSigner) LogValue() slog.Value { return slog.StringValue(redacted) }
func (*VRFKey) LogValue() slog.Value     { return slog.StringValue(redacted) }
