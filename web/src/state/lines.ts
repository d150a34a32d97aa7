// One line for what a message or an event of the timeline says.
import { t } from '../i18n';
import { duration, list, playtime } from '../i18n/dates';
import { app } from './app.svelte';
import type { Attachment, Chat, ChatEvent, Last, Message, MessageKind } from './core';
import { plain } from './markdown';

/** The last line of a conversation in the list, without who wrote it. */
export const lastText = (l: Last): string => textOf(l.kind, l.body, l.file, l.events);

/** A message in one line: quotes, search results, notifications. */
export const messageText = (m: Message): string => {
  const a = m.attachments[0];
  if (m.kind === 'voice') return t.line_voice({ time: playtime((a?.duration ?? 0) / 1000) });
  return textOf(m.kind, m.body, a?.name ?? '', m.events);
};

export function textOf(kind: MessageKind, body: string, file: string, events: ChatEvent[] = []): string {
  switch (kind) {
    case 'gone':
      return t.line_gone();
    case 'unreadable':
      return t.line_unreadable();
    case 'voice':
      return t.line_voiceNote();
    case 'event':
      return eventsText(events);
    default:
      return plain(body) || file || t.line_file();
  }
}

const personList = (handles: string[]): string =>
  list(handles.map((h) => (h === app.me ? t.you_object() : h)));

/** What happened, a sentence each. */
export const eventsText = (all: readonly ChatEvent[]): string => all.map(eventText).join(' ');

/** Why a message is not shown: first that it is waited for, then the cause. */
export function whyText(m: Message): string {
  const who = m.from || t.somebody();
  switch (m.why) {
    case 'unproven':
      return t.why_unproven({ who });
    case 'foreign':
      return t.why_foreign({ who });
    case 'late':
      return t.why_late({ who });
    case 'damaged':
      return t.why_damaged({ who });
    default:
      return t.why_waiting({ who });
  }
}

/** What happened, in one sentence. */
export function eventText(e: ChatEvent): string {
  const who = e.by || t.somebody();
  const own = e.by === app.me;
  const people = personList(e.people);
  const person = e.people[0] ?? who;
  switch (e.kind) {
    case 'created':
      return own ? t.event_createdYou() : t.event_created({ who });
    case 'added':
      if (!e.by && e.people[0] === app.me) return t.event_cameYou();
      return own ? t.event_addedYou({ people }) : t.event_added({ who, people });
    case 'removed':
      return own ? t.event_removedYou({ people }) : t.event_removed({ who, people });
    case 'left':
      return own ? t.event_leftYou() : t.event_left({ who });
    case 'device':
      return person === app.me ? t.event_deviceYou() : t.event_device({ who: person });
    case 'dropped':
      return person === app.me ? t.event_droppedYou() : t.event_dropped({ who: person });
    case 'renamed':
      return own ? t.event_renamedYou({ name: e.text }) : t.event_renamed({ who, name: e.text });
    case 'roles':
      if (e.text === 'admin') return own ? t.event_adminYou({ people }) : t.event_admin({ who, people });
      return own ? t.event_memberYou({ people }) : t.event_member({ who, people });
    case 'expiry':
      return expiryText(e, own);
    case 'back':
      return t.event_back();
    case 'history':
      return own ? t.event_historyYou() : t.event_history({ who });
    case 'verified':
      return t.event_verified({ who: person });
    case 'called':
      return t.event_called({ who: person, name: e.text });
    case 'changed':
      return t.event_changed({ who: person });
  }
}

function expiryText(e: ChatEvent, own: boolean): string {
  if (e.number === 0) return own ? t.event_staysYou() : t.event_stays({ who: e.by });
  const time = duration(e.number);
  return own ? t.event_expiryYou({ time }) : t.event_expiry({ who: e.by, time });
}

/** Why nothing can be sent, '' if it can. */
export function stateText(c: Chat): string {
  switch (c.state) {
    case 'left':
      return t.state_left();
    case 'removed':
      return t.state_removed();
    case 'broken':
      return t.state_broken();
    case 'rejoining':
      return t.state_rejoining();
    case 'stopped':
      return t.state_stopped();
    default:
      return '';
  }
}

const drawable = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif'];

/** What may be drawn inside the page. A picture that can hold script (SVG) is only saved. */
export const isPicture = (a: Attachment): boolean => drawable.includes(a.mediaType);

/** The letters on a file's glyph. */
export function fileKind(fileName: string): string {
  const dot = fileName.lastIndexOf('.');
  const ext = dot > 0 ? fileName.slice(dot + 1) : '';
  return /^[A-Za-z0-9]{1,4}$/.test(ext) ? ext.toUpperCase() : '';
}
