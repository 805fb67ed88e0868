// Stores chats in this browser's IndexedDB. Nothing leaves the device.

const wait = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = request.oncomplete = () => resolve(request.result);
    request.onerror = request.onabort = () => reject(request.error);
  });

/**
 * `heads` returns {id, title, changed} of each chat, newest first; `get` a complete one. `put` rejects if storage is full.
 * `persistent` is false if the browser blocks storage.
 */
export async function openStore() {
  let database;
  try {
    const opening = indexedDB.open("hearth", 1);
    opening.onupgradeneeded = () => {
      // A separate list can be read without loading the pictures.
      for (const name of ["heads", "chats"]) opening.result.createObjectStore(name, { keyPath: "id" });
    };
    database = await wait(opening);
  } catch {
    const nothing = async () => undefined;
    return { persistent: false, heads: async () => [], get: nothing, put: nothing, remove: nothing };
  }
  const read = (name) => database.transaction(name).objectStore(name);
  const write = (work) => {
    const transaction = database.transaction(["heads", "chats"], "readwrite");
    work(transaction.objectStore("heads"), transaction.objectStore("chats"));
    transaction.commit(); // immediately, since the page may be closing
    return wait(transaction);
  };
  return {
    persistent: true,
    heads: async () => (await wait(read("heads").getAll())).sort((one, other) => other.changed - one.changed),
    get: (id) => wait(read("chats").get(id)),
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
