/**
 * What notices say, in several languages. An application may bring words of its own.
 *
 * Pure. Source: spec postoffice 14 (what they mean).
 */

/** What is known about the message, as text for people: each one line, short, without control characters. */
export interface NoticeFacts {
  /** To whom it was sent. */
  readonly to: string
  /** Of when it is: its Date as its author wrote it, or today. */
  readonly date: string
  /** Why it bounced, in lines. */
  readonly reason: readonly string[]
  /** Whom to ask. */
  readonly host: string
}

/** The words of one language. Texts are paragraphs, each of them lines. */
export interface NoticeTexts {
  /** Such as `en` (RFC 5646). */
  readonly language: string
  readonly bounceSubject: (facts: NoticeFacts) => string
  readonly bounceText: (facts: NoticeFacts) => readonly (readonly string[])[]
  /** Where the application gives no reason. */
  readonly defaultReason: string
  readonly quarantineSubject: (facts: NoticeFacts) => string
  readonly quarantineText: (facts: NoticeFacts) => readonly (readonly string[])[]
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `    ${line}`)

const english: NoticeTexts = {
  language: 'en',
  bounceSubject: ({ to }) => `Your message to ${to} has bounced`,
  bounceText: ({ to, date, reason, host }) => [
    [`Your message of ${date}`, `to ${to}`, 'was received, but it cannot be used. The reason:'],
    indented(reason),
    [`If you think that this is a mistake, please ask the administrator of ${host}.`],
  ],
  defaultReason: 'The message is not valid.',
  quarantineSubject: ({ to }) => `An error occurred with your message to ${to}`,
  quarantineText: ({ to, date }) => [
    [`Your message of ${date}`, `to ${to}`, 'was received, but an error occurred while it was worked on.'],
    [
      'The administrators know about it. The message is kept in a quarantine and will be tried',
      'again; you need not send it a second time. We apologise for the delay.',
    ],
  ],
}

const german: NoticeTexts = {
  language: 'de',
  bounceSubject: ({ to }) => `Ihre Nachricht an ${to} kommt zur\u00fcck`,
  bounceText: ({ to, date, reason, host }) => [
    [`Ihre Nachricht vom ${date}`, `an ${to}`, 'ist angekommen, kann aber nicht verwendet werden. Der Grund:'],
    indented(reason),
    [`Wenn Sie das f\u00fcr einen Irrtum halten, fragen Sie bitte die Administration von ${host}.`],
  ],
  defaultReason: 'Die Nachricht ist nicht g\u00fcltig.',
  quarantineSubject: ({ to }) => `Ein Fehler bei Ihrer Nachricht an ${to}`,
  quarantineText: ({ to, date }) => [
    [`Ihre Nachricht vom ${date}`, `an ${to}`, 'ist angekommen, aber bei ihrer Verarbeitung trat ein Fehler auf.'],
    [
      'Die Administration wei\u00df davon. Die Nachricht liegt in einer Quarant\u00e4ne und wird noch einmal',
      'verarbeitet; Sie m\u00fcssen sie nicht erneut senden. Wir bitten um Entschuldigung.',
    ],
  ],
}

const french: NoticeTexts = {
  language: 'fr',
  bounceSubject: ({ to }) => `Votre message \u00e0 ${to} vous est retourn\u00e9`,
  bounceText: ({ to, date, reason, host }) => [
    [
      `Votre message du ${date}`,
      `adress\u00e9 \u00e0 ${to}`,
      'est bien arriv\u00e9, mais il ne peut pas \u00eatre utilis\u00e9. La raison\u00a0:',
    ],
    indented(reason),
    [
      `Si vous pensez qu\u2019il s\u2019agit d\u2019une erreur, veuillez vous adresser \u00e0 l\u2019administrateur de ${host}.`,
    ],
  ],
  defaultReason: 'Le message n\u2019est pas valable.',
  quarantineSubject: ({ to }) => `Une erreur est survenue avec votre message \u00e0 ${to}`,
  quarantineText: ({ to, date }) => [
    [
      `Votre message du ${date}`,
      `adress\u00e9 \u00e0 ${to}`,
      'est bien arriv\u00e9, mais une erreur est survenue pendant son traitement.',
    ],
    [
      'Les administrateurs en sont inform\u00e9s. Le message est gard\u00e9 en quarantaine et sera trait\u00e9 de nouveau\u00a0;',
      'vous n\u2019avez pas \u00e0 le renvoyer. Veuillez nous excuser pour ce d\u00e9sagr\u00e9ment.',
    ],
  ],
}

/** The languages that are there. */
export const noticeLanguages = { en: english, de: german, fr: french } as const

/** A language that is there. */
export type NoticeLanguage = keyof typeof noticeLanguages
