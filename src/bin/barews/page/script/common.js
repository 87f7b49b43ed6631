'use strict';
/* What all parts of the page use: elements, numbers, bytes, and ways out of the page. */

const $ = id => document.getElementById(id);
const number = n => n.toLocaleString('en');
const plural = (n, what) => `${number(n)} ${what}${n === 1 ? '' : 's'}`;
const ms = t => t.toFixed(t < 10 ? 2 : t < 100 ? 1 : 0);
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 });

const encoder = new TextEncoder();
const toBytes = data => typeof data === 'string' ? encoder.encode(data) : data;
const toText = data => typeof data === 'string' ? data : new TextDecoder().decode(data);
const hex = byte => byte.toString(16).padStart(2, '0');

/** The text of bytes, or null where they are not UTF-8. */
function utf8(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The bytes of hex digits, however they are spaced, or null. */
function fromHex(text) {
  const digits = text.replace(/[\s,:]|0x/g, '');
  if (/[^0-9a-f]/i.test(digits) || digits.length % 2) return null;
  return Uint8Array.from(digits.match(/../g) ?? [], pair => parseInt(pair, 16));
}

/** A start of a text that ends with a whole character. */
const cutText = (text, length) => text.slice(0, length).replace(/[\ud800-\udbff]$/, '');

/** Text is always set as text: nothing that comes from the network is ever markup. */
function element(name, look = '', text = '') {
  const made = document.createElement(name);
  if (look) made.className = look;
  made.textContent = text;
  return made;
}

function button(text, act, look = '') {
  const made = element('button', look, text);
  made.type = 'button';
  made.addEventListener('click', act);
  return made;
}

function on(target, event, act) {
  (typeof target === 'string' ? $(target) : target).addEventListener(event, e => {
    if (event === 'submit') e.preventDefault();
    act(e);
  });
}

/** A field that is wrong says so itself, until it is changed. */
function refuse(field, why) {
  field.setCustomValidity(why);
  field.reportValidity();
  field.addEventListener('input', () => field.setCustomValidity(''), { once: true });
}

/** A short word on what a button did. */
let unsaying = 0;
function say(text) {
  $('said').textContent = text;
  clearTimeout(unsaying);
  unsaying = setTimeout(() => $('said').textContent = '', 6000);
}

/** The clipboard is there on https and localhost only; elsewhere the old way is left. */
async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const had = document.activeElement, field = element('textarea', 'unseen');
    field.value = text;
    document.body.append(field);
    field.select();
    const copied = document.execCommand('copy');
    field.remove();
    had?.focus();
    if (!copied) return say(`The browser does not let this page copy ${what}`);
  }
  say(`Copied ${what}`);
}

function save(name, type, parts) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = element('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken hold of it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  say(`Saved ${name}`);
}
