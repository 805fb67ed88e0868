// Where chats are kept: IndexedDB of this browser. Nothing leaves the device.

const wait = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = request.oncomplete = () => resolve(request.result);
    request.onerror = request.onabort = () => reject(request.error);
  });

/**
 * `heads` gives {id, title, changed} of each chat, newest first; `get` a whole one. `put` rejects when there is no room.
 * `kept` is false where the browser keeps nothing.
 */
export async function openStore() {
  let database;
  try {
    const opening = indexedDB.open("hearth", 1);
    opening.onupgradeneeded = () => {
      // The list is apart, so that it is read without the pictures.
      for (const name of ["heads", "chats"]) opening.result.createObjectStore(name, { keyPath: "id" });
    };
    database = await wait(opening);
  } catch {
    const nothing = async () => undefined;
    return { kept: false, heads: async () => [], get: nothing, put: nothing, remove: nothing };
  }
  const read = (name) => database.transaction(name).objectStore(name);
  const write = (work) => {
    const transaction = database.transaction(["heads", "chats"], "readwrite");
    work(transaction.objectStore("heads"), transaction.objectStore("chats"));
    transaction.commit(); // at once: the page may be closing
    return wait(transaction);
  };
  return {
    kept: true,
    heads: async () => (await wait(read("heads").getAll())).sort((one, other) => other.changed - one.changed),
    get: (id) => wait(read("chats").get(id)),
    put: ({ id, title, changed, ...rest }) => write((heads, chats) => {
      heads.put({ id, title, changed });
      chats.put({ id, title, changed, ...rest });
    }),
    remove: (id) => write((heads, chats) => [heads, chats].forEach((each) => each.delete(id))),
  };
}

/** Remembers a word, or gives it back (""); where localStorage is switched off, it is forgotten. */
export function remembered(name, word) {
  try {
    if (word !== undefined) localStorage.setItem(`hearth.${name}`, word);
    return localStorage.getItem(`hearth.${name}`) ?? "";
  } catch {
    return "";
  }
}
