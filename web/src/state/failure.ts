import { t } from '../i18n';
import { CoreError, type ErrorCode } from './core';

/** Codes that come from bugs or say nothing to a person share one sentence. */
const words: Partial<Record<ErrorCode, () => string>> = {
  disconnected: () => t.fail_disconnected(),
  unsupported: () => t.fail_unsupported(),
  unreachable: () => t.fail_unreachable(),
  'unknown-chat': () => t.fail_unknownChat(),
  'unknown-person': () => t.fail_unknownPerson(),
  'unknown-message': () => t.fail_unknownMessage(),
  'not-member': () => t.fail_notMember(),
  revoked: () => t.fail_revoked(),
  'too-large': () => t.fail_tooLarge(),
  forbidden: () => t.fail_forbidden(),
  exists: () => t.fail_exists(),
  'bad-name': () => t.fail_badName(),
  'bad-invite': () => t.fail_badInvite(),
  'other-server': () => t.fail_otherServer(),
  'bad-code': () => t.fail_badCode(),
  'not-approved': () => t.fail_notApproved(),
  'no-backup': () => t.recover_noBackup(),
  'other-words': () => t.fail_otherWords(),
  'bad-recovery': () => t.fail_badRecovery(),
  pin: () => t.fail_pin(),
  damaged: () => t.fail_damaged(),
  full: () => t.fail_full(),
  'invite-unknown': () => t.fail_inviteUnknown(),
  'invite-expired': () => t.fail_inviteExpired(),
  'invite-used': () => t.fail_inviteUsed(),
  'name-taken': () => t.fail_nameTaken(),
  throttled: () => t.fail_throttled(),
  busy: () => t.fail_throttled(),
  'server-full': () => t.fail_serverFull(),
  quota: () => t.fail_quota(),
  'none-left': () => t.fail_noneLeft(),
  gone: () => t.fail_gone(),
};

/** What a person reads of a failure: never an internal name. */
export function failure(e: unknown): string {
  if (!(e instanceof CoreError)) return t.fail_other();
  if (e.code === 'safety') return [e.message, e.hint].filter(Boolean).map(sentence).join(' ');
  return words[e.code]?.() ?? t.fail_other();
}

/** The core's words begin small and end without a stop. */
export const sentence = (s: string): string => {
  const text = s.trim();
  if (!text) return '';
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(first) ? first : first + '.';
};
