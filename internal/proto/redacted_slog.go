//go:build !js

package proto

import "log/slog"

// What is secret prints as [redacted] in logs too. The core for browsers keeps no
// log and does not carry package slog.

func redact() slog.Value                    { return slog.StringValue(redacted) }
func (ConversationID) LogValue() slog.Value { return redact() }
func (MemberKey) LogValue() slog.Value      { return redact() }
func (BlobID) LogValue() slog.Value         { return redact() }
func (AccountID) LogValue() slog.Value      { return redact() }
func (DeviceID) LogValue() slog.Value       { return redact() }
func (Ticket) LogValue() slog.Value         { return redact() }
func (Token) LogValue() slog.Value          { return redact() }
func (Hash) LogValue() slog.Value           { return redact() }
func (SessionID) LogValue() slog.Value      { return redact() }
func (MailboxID) LogValue() slog.Value      { return redact() }
func (InboxItemID) LogValue() slog.Value    { return redact() }
