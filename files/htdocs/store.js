// Stores chats in this browser's IndexedDB. Nothing leaves the device.

import { newId } from "./chats.js";
import { CHANGED_ELSEWHERE, DELETED_ELSEWHERE } from "./words.js";

const wait = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = request.oncomplete = () => resolve(request.result);
    // A request that fails has an error before its transaction has one.
    request.onerror = request.onabort = ({ target }) => reject(target.error);
  });

const nothing = async () => undefined;
/** Stores nothing: until the storage is open, and where the browser blocks it. */
export const NO_STORE = { persistent: false, heads: async () => [], get: nothing, put: nothing, remove: nothing };

async function open() {
  const opening = indexedDB.open("hearth", 1);
  opening.onupgradeneeded = () => {
    // A separate list can be read without loading the pictures.
    for (const name of ["heads", "chats"]) opening.result.createObjectStore(name, { keyPath: "id" });
  };
  const database = await wait(opening);
  // Otherwise a tab that stays open would keep a later version of this page from opening the storage.
  database.onversionchange = () => database.close();
  return database;
}

/**
 * `heads` returns {id, title, changed} of each chat, newest first; `get` a complete one. `put` stores one, under a new id if
 * another tab has changed or deleted it, of which it returns a message; it rejects with a QuotaExceededError if storage is full.
 * `persistent` is false if the browser blocks storage.
 */
export async function openStore() {
  let database;
  try {
    database = await open();
  } catch {
    return NO_STORE;
  }
  // Browsers close a database that is open, such as on a phone that was asleep: once more, with a new connection.
  const attempt = async (work) => {
    try {
      return await work();
    } catch (error) {
      if (error?.name === "QuotaExceededError") throw error;
      database.close();
      database = await open();
      return work();
    }
  };
  const read = (name, method, ...keys) => attempt(() => wait(database.transaction(name).objectStore(name)[method](...keys)));
  const write = (work) => attempt(() => {
    const transaction = database.transaction(["heads", "chats"], "readwrite");
    work(transaction.objectStore("heads"), transaction.objectStore("chats"), transaction);
    return wait(transaction);
  });
  return {
    persistent: true,
    heads: async () => (await read("heads", "getAll")).sort((one, other) => other.changed - one.changed),
    get: (id) => read("chats", "get", id),
    async put(chat, isClosing = false) {
      const { id } = chat;
      let [changed, message] = [0, ""];
      await write((heads, chats, transaction) => {
        const store = (stored) => {
          if (chat.id === id && stored !== chat.changed) {
            message = stored ? CHANGED_ELSEWHERE : DELETED_ELSEWHERE;
            Object.assign(chat, { id: newId(), changed: 0 });
          }
          changed = Math.max(Date.now(), chat.changed + 1);
          heads.put({ id: chat.id, title: chat.title, changed });
          chats.put({ ...chat, changed });
          transaction.commit();
        };
        if (isClosing) {
          // Nothing can be read any more, but what was stored last, by any tab, is remembered.
          const [last, stored] = remembered("stored").split(" ");
          store(last === id ? Number(stored) : chat.changed);
          remembered("stored", `${chat.id} ${changed}`);
        } else heads.get(id).onsuccess = ({ target }) => store(target.result?.changed ?? 0);
      });
      chat.changed = changed;
      remembered("stored", `${chat.id} ${changed}`);
      return message;
    },
    remove: (id) => write((heads, chats, transaction) => {
      for (const each of [heads, chats]) each.delete(id);
      transaction.commit(); // immediately, since the page may be closing
    }),
  };
}

/** Sets a value in localStorage if one is given, and returns the stored one; always "" if localStorage is blocked. */
export function remembered(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(`hearth.${name}`, value);
    return localStorage.getItem(`hearth.${name}`) ?? "";
  } catch {
    return "";
  }
}
