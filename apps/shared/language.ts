/** Language of the user interface: that of the browser, German or English. */

export const LANGUAGE = navigator.language.toLowerCase().startsWith("de") ? "de" : "en";
/** Locale of amounts and times. */
export const LOCALE = navigator.language;

document.documentElement.lang = LANGUAGE;

/** Returns the messages of the language. German must have all messages of English. */
export function select<T>(messages: { en: T; de: NoInfer<T> }): T {
  return messages[LANGUAGE];
}
