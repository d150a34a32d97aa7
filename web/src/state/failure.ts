import { t } from '../i18n';
import { CoreError, type ErrorCode } from './core';
import { sayAll } from './say';

/** Every code has a sentence; those that come from bugs share one. */
const words: Record<ErrorCode, () => string> = {
  'bad-request': () => t.fail_other(),
  internal: () => t.fail_other(),
  cancelled: () => t.fail_cancelled(),
  'no-profile': () => t.fail_noProfile(),
  'has-profile': () => t.fail_hasProfile(),
  safety: () => t.fail_safety(),
  'not-now': () => t.fail_other(),
  refused: () => t.fail_refused(),
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
  'name-left': () => t.fail_nameLeft(),
  'name-pending': () => t.fail_namePending(),
  'too-soon': () => t.fail_tooSoon(),
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
  return sayAll(e.reason, e.fix) || words[e.code]();
}
