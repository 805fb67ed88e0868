// Stores chats in this browser's IndexedDB. Nothing leaves the device.

const wait = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = request.oncomplete = () => resolve(request.result);
    // A request that fails has an error before its transaction has one.
    request.onerror = request.onabort = ({ target }) => reject(target.error);
  });

async function open() {
  const opening = indexedDB.open("hearth", 1);
  opening.onupgradeneeded = () => {
    // A separate list can be read without loading the pictures.
    for (const name of ["heads", "chats"]) opening.result.createObjectStore(name, { keyPath: "id" });
  };
  return wait(opening);
}

/**
 * `heads` returns {id, title, changed} of each chat, newest first; `get` a complete one. `put` rejects with a
 * QuotaExceededError if storage is full. `persistent` is false if the browser blocks storage.
 */
export async function openStore() {
  let database;
  try {
    database = await open();
  } catch {
    const nothing = async () => undefined;
    return { persistent: false, heads: async () => [], get: nothing, put: nothing, remove: nothing };
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
    work(transaction.objectStore("heads"), transaction.objectStore("chats"));
    transaction.commit(); // immediately, since the page may be closing
    return wait(transaction);
  });
  return {
    persistent: true,
    heads: async () => (await read("heads", "getAll")).sort((one, other) => other.changed - one.changed),
    get: (id) => read("chats", "get", id),
    put: ({ id, title, changed, ...rest }) => write((heads, chats) => {
      heads.put({ id, title, changed });
      chats.put({ id, title, changed, ...rest });
    }),
    remove: (id) => write((heads, chats) => [heads, chats].forEach((each) => each.delete(id))),
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
